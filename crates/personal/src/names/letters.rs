//! Chinese, Japanese and Korean names, which no capital marks: by family names, and in sentences by what stands beside them.
//!
//! Many other words begin with the letter of a family name. So a name in a sentence counts only where a form of address follows it,
//! or a label that promises one stands before it.

use crate::hit::{Hit, Reason, Why};
use crate::kind::Kind;

/// The first letter of most Chinese names, in both writings.
const CHINESE: &str = "王李张張刘劉陈陳杨楊赵趙黄黃周吴吳徐孙孫胡朱高林何郭马馬罗羅梁宋郑鄭谢謝韩韓唐冯馮于董萧蕭程曹袁邓鄧许許傅沈曾彭吕呂苏蘇卢盧\
    蒋蔣蔡贾賈丁魏薛叶葉阎閻余潘杜戴夏钟鍾汪田任姜范方石姚谭譚廖邹鄒熊金陆陸郝孔白崔康毛邱秦江史顾顧侯邵孟龙龍万萬段雷钱錢汤湯尹黎易常武乔喬贺賀赖賴龚龔文";
/// Of most Korean ones.
const KOREAN: &str = "김이박최정강조윤장임한오서신권황안송류전홍";
/// Common Japanese family names.
const JAPANESE: &str = "佐藤 鈴木 高橋 田中 伊藤 渡辺 渡邊 山本 中村 小林 加藤 吉田 山田 佐々木 山口 松本 井上 木村 斎藤 斉藤 清水 山崎 池田 橋本 阿部 石川 \
    山下 中島 石井 小川 前田 岡田 長谷川 藤田 後藤 近藤 村上 遠藤 青木 坂本 福田 太田 西村 藤井 金子 岡本 藤原 中野 三浦 原田 中川 松田 竹内 小野 田村 中山 和田 石田 森田 \
    上田 内田 柴田 酒井 宮崎 横山 高木 安藤 宮本 大野 小島 谷口 今井 高田 丸山 増田 杉山 村田 大塚 新井 小山 平野 藤本 河野 上野 野口 武田 松井 千葉 菅原 岩崎 木下 久保 佐野 \
    野村 松尾 菊地 杉本 市川 古川 大西 島田 水野 桜井 高野 吉川 山内 西田 飯田 菊池 西川 小松 北村 安田 五十嵐 川口 平田 関根 中田";

/// Forms of address behind a name.
const CHINESE_TITLES: [&str; 6] = ["先生", "女士", "小姐", "太太", "同志", "夫人"];
const JAPANESE_TITLES: [&str; 7] = ["さん", "様", "氏", "くん", "君", "ちゃん", "先生"];
const KOREAN_TITLES: [&str; 2] = ["씨", "님"];
/// What somebody is, between a Korean name and `님`.
const KOREAN_JOBS: &str = "과장 대리 부장 차장 사장 팀장 실장 이사 교수 선생 박사 원장 회장 대표 변호사 의사 간호사";
/// What may follow a Korean name or its form of address in the same word.
const KOREAN_PARTICLES: &str = "이 가 은 는 을 를 의 와 과 도 께 께서 에게 한테 님 입니다 이다 이고 라고 이라고 예요 이에요";
/// Letters that end a Korean word of three which is no name.
const KOREAN_ENDS: &str = "에는를의한할된로은";

/// What stands before a name.
const CHINESE_LABELS: [&str; 14] = [
    "我叫",
    "名叫",
    "姓名：",
    "姓名:",
    "姓名为",
    "联系人：",
    "联系人:",
    "聯絡人：",
    "收件人：",
    "收货人：",
    "收貨人：",
    "申请人：",
    "签名：",
    "負責人：",
];
/// Before a name that is followed by what the person is: of which sex, or how old.
const PATIENTS: [&str; 3] = ["患者", "病人", "病患"];
const JAPANESE_LABELS: [&str; 7] = ["氏名：", "氏名:", "名前は", "お名前：", "担当は", "担当：", "患者："];
const KOREAN_LABELS: [&str; 12] =
    ["성명:", "성명：", "성명은", "이름:", "이름：", "이름은", "담당자:", "담당자는", "환자명:", "고객명:", "수신인:", "신청인:"];
/// Letters that go on with a Chinese sentence behind a name.
const CHINESE_STOPS: &str = "的在于於和与與及是为為有将將已昨今说說称稱表来來去对對从從到被把向也就都";
/// Letters that end a Japanese place.
const JAPANESE_PLACES: &str = "市町村区県駅線川山";

/// The score of such a name.
const SCORE: f32 = 0.6;

/// Whether a whole text may be a name of letters: a family name, and one or two letters more (three in Japanese).
pub fn is_whole(text: &str) -> bool {
    is_chinese(text) || is_korean(text) || is_japanese(text, 1)
}

/// The names in a sentence, by place.
pub fn found(text: &str) -> Vec<Hit> {
    // All letters that matter begin with one of these bytes.
    if !text.bytes().any(|byte| (0xE3..=0xED).contains(&byte)) {
        return Vec::new();
    }
    let mut hits = Vec::new();
    for title in CHINESE_TITLES {
        titled(text, title, &[3, 2], |name, _| is_chinese(name), &mut hits);
    }
    for title in JAPANESE_TITLES {
        // `様子` and `様々` are other words.
        titled(text, title, &[6, 5, 4, 3, 2], |name, after| is_japanese(name, 0) && !after.starts_with(is_han), &mut hits);
    }
    for title in KOREAN_TITLES {
        korean_titled(text, title, &mut hits);
    }
    let ends = |after: &str| after.chars().next().is_none_or(|letter| !is_han(letter) || CHINESE_STOPS.contains(letter));
    for label in CHINESE_LABELS {
        labelled(text, label, &[3, 2], |name, after| is_chinese(name) && ends(after), &mut hits);
    }
    for label in PATIENTS {
        labelled(text, label, &[3, 2], |name, after| is_chinese(name) && tells_of_person(after), &mut hits);
    }
    for label in JAPANESE_LABELS {
        labelled(text, label, &[6, 5, 4, 3], |name, after| is_japanese(name, 1) && japanese_ends(after), &mut hits);
    }
    for label in KOREAN_LABELS {
        labelled(text, label, &[3], |name, after| is_korean(name) && is_particle(hangul_head(after)), &mut hits);
    }
    hits.sort_by_key(|hit| (hit.start, hit.end));
    hits.dedup_by_key(|hit| (hit.start, hit.end));
    hits
}

const fn is_han(letter: char) -> bool {
    matches!(letter, '\u{4E00}'..='\u{9FFF}' | '々')
}

const fn is_kana(letter: char) -> bool {
    matches!(letter, '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FC}')
}

const fn is_hangul(letter: char) -> bool {
    matches!(letter, '\u{AC00}'..='\u{D7A3}')
}

fn is_chinese(name: &str) -> bool {
    let mut letters = name.chars();
    let is_family = letters.next().is_some_and(|first| CHINESE.contains(first));
    let given: Vec<char> = letters.take(3).collect();
    is_family && matches!(given.len(), 1 | 2) && given.iter().all(|letter| is_han(*letter))
}

fn is_korean(name: &str) -> bool {
    let mut letters = name.chars();
    let is_family = letters.next().is_some_and(|first| KOREAN.contains(first));
    let given: Vec<char> = letters.take(3).collect();
    is_family && given.len() == 2 && given.iter().all(|letter| is_hangul(*letter))
}

/// A family name and up to three letters of one writing, at least so many. One letter of a syllable is a particle.
fn is_japanese(name: &str, given_min: usize) -> bool {
    JAPANESE.split_ascii_whitespace().filter_map(|family| name.strip_prefix(family)).any(|given| {
        let count = given.chars().take(4).count();
        let of_one_writing = given.chars().all(is_han) || count > 1 && given.chars().all(is_kana);
        let is_place = given.ends_with(|letter: char| JAPANESE_PLACES.contains(letter));
        (given_min..=3).contains(&count) && of_one_writing && !is_place
    })
}

/// What may follow a Japanese name behind a label.
fn japanese_ends(after: &str) -> bool {
    after.chars().next().is_none_or(|letter| !is_han(letter) && !is_kana(letter))
        || after.starts_with("です")
        || after.starts_with("と申")
}

/// Whether a sex or an age follows.
fn tells_of_person(after: &str) -> bool {
    let rest = after.trim_start_matches(['，', ',', '、', ' ', '（', '(']);
    rest.len() < after.len() && rest.starts_with(|letter: char| matches!(letter, '男' | '女') || letter.is_ascii_digit())
}

fn is_particle(word: &str) -> bool {
    word.is_empty() || KOREAN_PARTICLES.split_ascii_whitespace().any(|particle| particle == word)
}

/// The Korean letters that a text begins with.
fn hangul_head(text: &str) -> &str {
    let end = text.find(|letter: char| !is_hangul(letter)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The last letters of a text, so many.
fn last(text: &str, count: usize) -> Option<&str> {
    let (start, _) = text.char_indices().rev().nth(count.checked_sub(1)?)?;
    text.get(start..)
}

/// The first letters of a text, so many, and what follows them.
fn first(text: &str, count: usize) -> Option<(&str, &str)> {
    let (place, letter) = text.char_indices().nth(count.checked_sub(1)?)?;
    text.split_at_checked(place + letter.len_utf8())
}

fn hit(start: usize, name: &str) -> Hit {
    let why = Why::of(Reason::Dictionary).and(Reason::Context);
    Hit { kind: Kind::Person, start, end: start + name.len(), score: SCORE, why }
}

/// Names right before a form of address; the longest that fits.
fn titled(text: &str, title: &str, lengths: &[usize], is_name: impl Fn(&str, &str) -> bool, hits: &mut Vec<Hit>) {
    for (place, _) in text.match_indices(title) {
        let before = text.get(..place).unwrap_or_default();
        let after = text.get(place + title.len()..).unwrap_or_default();
        let name = lengths.iter().find_map(|length| last(before, *length).filter(|name| is_name(name, after)));
        hits.extend(name.map(|name| hit(place - name.len(), name)));
    }
}

/// Names right behind a label; the longest that fits.
fn labelled(text: &str, label: &str, lengths: &[usize], is_name: impl Fn(&str, &str) -> bool, hits: &mut Vec<Hit>) {
    for (place, _) in text.match_indices(label) {
        let behind = text.get(place + label.len()..).unwrap_or_default();
        let rest = behind.trim_start_matches([' ', '\u{3000}']);
        let name = lengths.iter().find_map(|length| first(rest, *length).filter(|(name, after)| is_name(name, after)));
        hits.extend(name.map(|(name, _)| hit(text.len() - rest.len(), name)));
    }
}

/// Korean names before `씨` or `님`, which may stand apart, and before what somebody is and `님`.
fn korean_titled(text: &str, title: &str, hits: &mut Vec<Hit>) {
    for (place, _) in text.match_indices(title) {
        if !is_particle(hangul_head(text.get(place + title.len()..).unwrap_or_default())) {
            continue;
        }
        let mut before = text.get(..place).unwrap_or_default().trim_end_matches(' ');
        if title == "님" {
            match KOREAN_JOBS.split_ascii_whitespace().find_map(|job| before.strip_suffix(job)) {
                Some(rest) => before = rest.trim_end_matches(' '),
                // `이용자님` is whoever uses something.
                None if before.ends_with('자') => continue,
                None => {}
            }
        }
        let Some(name) = last(before, 3).filter(|name| is_korean(name)) else { continue };
        let start = before.len() - name.len();
        let stands_alone = !before.get(..start).unwrap_or_default().ends_with(is_hangul);
        if stands_alone && !name.ends_with(|letter: char| KOREAN_ENDS.contains(letter)) {
            hits.push(hit(start, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let hits = found(text);
        let names: Vec<&str> = hits.iter().map(|hit| hit.text(text)).collect();
        assert_eq!(names, expected, "{text}");
    }

    #[test]
    fn names_beside_forms_of_address_and_labels_are_found() {
        check("请联系李伟先生或陈建国女士。", &["李伟", "陈建国"]);
        check("我叫赵敏，住在上海。姓名：欧阳，联系人：王小明的朋友", &["赵敏", "王小明"]);
        check("患者张丽华，女，45岁", &["张丽华"]);
        check("担当は佐藤花子です。田中太郎さんと鈴木様、渡辺直樹先生", &["佐藤花子", "田中太郎", "鈴木", "渡辺直樹"]);
        check("김민수 씨가 왔다. 최현우 과장님께 문의. 담당자는 박지영입니다", &["김민수", "최현우", "박지영"]);
        check("성명: 홍길동, 이영희님", &["홍길동", "이영희"]);
    }

    #[test]
    fn words_that_begin_like_names_are_none() {
        for text in [
            "今天天气很好，我们去公园散步。各位先生，高兴地跳起来。",
            "患者高血压病史。患者高烧，咳嗽。王国的历史悠久。",
            "お客様、皆様。たくさんの神様。山田市の様子、山田の様子、田中様々",
            "이용자님께 알립니다. 고객님, 선생님. 이번에 씨앗을 샀다. 조금씩 자란다.",
            "이번에 교수님이 왔다. 이름은 중요하다. 정말 고맙습니다.",
            "Mr. Smith, Zürich – “fine”…",
            "",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn whole_names_are_known_and_places_are_none() {
        assert!(["王伟", "陈建国", "김민준", "田中太郎", "佐々木希", "中村あゆみ"].into_iter().all(is_whole));
        assert!(!["北京", "松本市", "서울", "佐藤", "王", "山口県", "Anna"].into_iter().any(is_whole));
    }

    #[test]
    fn any_cut_of_a_text_is_read() {
        let text = "姓名： 王小明先生님 김민수 씨 担当は佐藤花子です 患者张丽华，女";
        for (end, _) in text.char_indices() {
            for hit in found(&text[..end]) {
                assert!(!hit.is_empty() && text.is_char_boundary(hit.start) && text.is_char_boundary(hit.end));
            }
        }
    }
}

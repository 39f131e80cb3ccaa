//! What looks like personal data and is none, and what is personal though nothing says so.

use super::*;

/// Sentences of documentation, one of which is `odd`.
fn documentation(odd: &str) -> PersonalReport {
    let plain = |n: usize| format!("The function number {n} takes a path and gives back what the folder holds, sorted by name.");
    let sentences = (0..1_000).map(|n| if n == 500 { odd.to_owned() } else { plain(n) });
    report(&batch(vec![("text", texts(sentences))]))
}

#[test]
fn an_example_of_a_password_in_documentation_is_no_secret() {
    for odd in [
        "Call client.change(current_password=\"hunter22\", name=\"x\") before the first use of the client.",
        "Set current_password=\"your-password\" in the file and start the server again with this option.",
        "Write password: changeme here, and change it once the server has been started for the first time.",
    ] {
        assert!(!documentation(odd).classes.contains(&Class::Credential), "{odd}");
    }
    for odd in [
        "Call client.change(current_password=\"xK9#mQ2$vLw7\", name=\"x\") before the first use of the client.",
        "Connect to postgres://app:xK9mQ2vLw7@db.example.org/main and read the table that holds the list of orders.",
    ] {
        assert!(documentation(odd).classes.contains(&Class::Credential), "{odd}");
    }
}

#[test]
fn passwords_in_many_sentences_are_secrets_though_they_read_like_words() {
    let note = |n: usize| format!("The customer {n} called, and my colleague set password: hunter{n}x for the account again.");
    let report = report(&batch(vec![("note", texts((100..200).map(note)))]));
    assert!(report.classes.contains(&Class::Credential), "{report:#?}");
}

#[test]
fn a_drug_in_a_table_about_nobody_is_a_good() {
    let drugs = ["Metformin", "Ibuprofen", "Warfarin", "Ramipril"];
    let price = || Arc::new(Float64Array::from_iter_values((0..40).map(|n| 3.0 + f64::from(n)))) as ArrayRef;
    let goods =
        report(&batch(vec![("drug", cycle(&drugs, 40)), ("country", cycle(&["Austria", "Spain"], 40)), ("price", price())]));
    assert!(!goods.classes.contains(&Class::Health) && goods.special_categories.is_empty(), "{goods:#?}");
    let patients = report(&batch(vec![("drug", cycle(&drugs, 40)), ("age", cycle(&["41", "52", "63"], 40))]));
    assert!(patients.classes.contains(&Class::Health), "{patients:#?}");
    let notes = "The patient was diagnosed with diabetes and takes metformin since then";
    let told = report(&batch(vec![("drug", cycle(&drugs, 40)), ("note", cycle(&[notes], 40))]));
    assert!(told.classes.contains(&Class::Health), "{told:#?}");
}

#[test]
fn names_in_chinese_and_korean_letters_are_found_under_headers_that_say_nothing() {
    let made = |families: [&'static str; 5], given: [&'static str; 8]| {
        texts((0..120).map(move |n| format!("{}{}", families[n % 5], given[n / 5 % 8])))
    };
    let chinese = made(["王", "李", "張", "刘", "陈"], ["伟", "芳", "秀英", "敏", "静", "建国", "丽", "强"]);
    let korean = made(["김", "이", "박", "최", "정"], ["민준", "서연", "지훈", "수빈", "예진", "도윤", "하은", "지우"]);
    let cities = [
        "北京",
        "上海",
        "广州",
        "深圳",
        "成都",
        "武汉",
        "杭州",
        "重庆",
        "南京",
        "天津",
        "西安",
        "苏州",
        "石家庄",
        "江门",
        "青岛",
    ];
    let words = ["서울", "학교", "사과", "컴퓨터", "자동차", "정치인", "이야기", "바다", "나무", "음악", "도서관", "운동화"];
    let report = report(&batch(vec![
        ("c1", chinese),
        ("c2", korean),
        ("c3", cycle(&cities, 120)),
        ("c4", cycle(&words, 120)),
        ("c5", cycle(&["王伟", "李娜"], 120)),
    ]));
    let personal: Vec<bool> = report.columns.iter().map(|column| column.classes.contains(&Class::Personal)).collect();
    assert_eq!(personal, [true, true, false, false, false], "{report:#?}");
}

#[test]
fn phones_without_a_plus_are_found_where_the_header_says_so() {
    let numbers = |first: &'static str, count: usize| {
        texts((0..60).map(move |n| format!("{first}{:0count$}", (12_345_678 + n * 7_919) % 10_usize.pow(count as u32))))
    };
    check(vec![("手机号", numbers("138", 8))], &[Some(Kind::Phone)]);
    check(vec![("телефон", numbers("8912", 7))], &[Some(Kind::Phone)]);
    check(vec![("celular", texts((0..60).map(|n| format!("(11) 98765-{:04}", n * 131))))], &[Some(Kind::Phone)]);
    check(vec![("móvil", texts((0..60).map(|n| format!("612 345 {:03}", n * 13))))], &[Some(Kind::Phone)]);
}

#[test]
fn sentences_of_other_languages_name_nobody_by_their_capitals() {
    for sentences in [
        vec!["Der Wind weht heute stark, und die Sonne scheint nicht.", "Bitte geben Sie einen anderen Namen ein."],
        vec!["Die Rechnung wurde gestern bezahlt und verschickt.", "Das Programm kann die Datei nicht öffnen."],
        vec!["Ouvrez le fichier puis enregistrez la copie ailleurs.", "La séance est ouverte, veuillez vous asseoir."],
        vec!["El programa no puede abrir este archivo.", "La puerta estaba cerrada cuando llegamos ayer."],
        vec!["Программа не может открыть этот файл.", "Вчера был сильный ветер, и мы остались дома."],
        vec!["최근 시장이 크게 변했다고 합니다.", "프로그램을 설치하고 실행하세요."],
        vec!["افتح الملف ثم احفظ نسخة منه", "الطقس جميل جدا هذا اليوم"],
        vec!["今天天气很好，我们去公园散步。", "患者高血压病史，请继续服药观察。", "周末我们去爬山，高兴地跳起来。"],
    ] {
        let report = report(&batch(vec![("text", cycle(&sentences, 60))]));
        assert!(!report.classes.contains(&Class::Personal), "{sentences:?}: {report:#?}");
    }
}

#[test]
fn names_in_sentences_of_other_languages_are_found() {
    for sentence in [
        "Bitte rufen Sie Herrn Thomas Müller unter dieser Nummer an.",
        "Frau Schneider wohnt seit gestern nicht mehr hier.",
        "Hier soir, Monsieur Lefebvre habitait encore ici.",
        "Ayer vino Carlos Ruiz y nos trajo los libros.",
        "Вчера ко мне приходила Анна Кузнецова и принесла книгу.",
        "담당자는 박지영입니다, 내일 다시 연락해 주세요.",
        "请联系李伟先生，他明天上午在办公室。",
        "担当は佐藤花子です。明日の会議に出席します。",
    ] {
        let other = "1 2 3 4 5 6 7 8";
        let report = report(&batch(vec![("text", cycle(&[sentence, other], 60))]));
        let kinds: Vec<Kind> = report.columns[0].kinds.iter().map(|kind| kind.kind).collect();
        assert!(kinds.contains(&Kind::Person), "{sentence}: {report:#?}");
    }
}

#[test]
fn japanese_names_are_found_and_places_are_none() {
    let families = ["田中", "佐藤", "鈴木", "佐々木", "渡辺"];
    let given = ["太郎", "花子", "直樹", "恵", "あゆみ", "大輔"];
    let names = texts((0..60).map(|n| format!("{}{}", families[n % 5], given[n / 5 % 6])));
    let places = ["松本市", "山口県", "石川県", "宮崎市", "福田町", "横山駅", "千葉県", "小野町", "三浦市", "太田区", "岡田村"];
    let report = report(&batch(vec![("c1", names), ("c2", cycle(&places, 60))]));
    let personal: Vec<bool> = report.columns.iter().map(|column| column.classes.contains(&Class::Personal)).collect();
    assert_eq!(personal, [true, false], "{report:#?}");
}

#[test]
fn texts_that_are_marked_as_bytes_are_read() {
    let mails = (0..60).map(|n| format!("user{n}@example.org").into_bytes());
    let marked = Arc::new(arrow_array::BinaryArray::from_iter_values(mails)) as ArrayRef;
    let keys = (0..60_u8).map(|n| vec![0xFF, 0xD8, n, b'@', b'a', b'.', b'b']);
    let keys = Arc::new(arrow_array::LargeBinaryArray::from_iter_values(keys)) as ArrayRef;
    check(vec![("c1", marked), ("c2", keys)], &[Some(Kind::Email), None]);
}

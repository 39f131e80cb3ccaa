//! Top-level domains, and endings of file names that look like them.

/// Generic domains that people meet; two letters are a country's. Written down here from general knowledge.
const GENERIC: &[&str] = &[
    "com",
    "org",
    "net",
    "edu",
    "gov",
    "mil",
    "int",
    "info",
    "biz",
    "name",
    "pro",
    "app",
    "dev",
    "online",
    "site",
    "shop",
    "store",
    "tech",
    "cloud",
    "blog",
    "xyz",
    "club",
    "top",
    "health",
    "care",
    "email",
    "live",
    "news",
    "media",
    "agency",
    "digital",
    "network",
    "systems",
    "solutions",
    "services",
    "company",
    "group",
    "world",
    "life",
    "today",
    "space",
    "website",
    "bank",
    "insurance",
    "law",
    "clinic",
    "hospital",
    "university",
    "museum",
    "travel",
    "jobs",
    "mobi",
    "aero",
    "coop",
    "asia",
    "eus",
    "cat",
    "berlin",
    "london",
    "paris",
    "wien",
    "nyc",
    "test",
    "example",
    "local",
    "internal",
    "localhost",
    "invalid",
];

/// Countries of ISO 3166-1 that have a domain, and a few more that are in use.
const COUNTRIES: &[u8] = b"acadaeafagaialamaoaqarasatauawaxazbabbbdbebfbgbhbibjbmbnbobrbsbtbwbybzcacccdcfcgchcickclcmcncocrcucvcwcxcyczdedjdkdmdodzeceeegereseteufifjfkfmfofrgagbgdgegfggghgiglgmgngpgqgrgsgtgugwgyhkhmhnhrhthuidieiliminioiqirisitjejmjojpkekgkhkikmknkpkrkwkykzlalblclilklrlsltlulvlymamcmdmemgmhmkmlmmmnmompmqmrmsmtmumvmwmxmymznancnenfngninlnonpnrnunzompapepfpgphpkplpmpnprpsptpwpyqarerorsrurwsasbscsdsesgshsiskslsmsnsosrssstsvsxsysztctdtftgthtjtktltmtntotrtttvtwtzuaugukusuyuzvavcvevgvivnvuwfwsyeytzazmzw";

/// Endings of file names that are countries' domains too, or look like one.
const FILE_ENDINGS: &[&str] = &[
    "py", "rs", "md", "sh", "pl", "cc", "so", "ps", "mm", "st", "in", "do", "is", "it", "at", "to", "be", "no", "as", "my", "me",
    "am",
];

/// How likely a last label makes a domain of what stands before it: 0 to 1.
pub fn domain_score(label: &[u8], labels: usize) -> f32 {
    let lower = label.to_ascii_lowercase();
    let text = std::str::from_utf8(&lower).unwrap_or_default();
    let is_country = <&[u8; 2]>::try_from(lower.as_slice()).is_ok_and(|pair| COUNTRIES.as_chunks::<2>().0.contains(pair));
    if GENERIC.iter().take(8).any(|generic| *generic == text) {
        0.7
    } else if GENERIC.contains(&text) || (is_country && labels > 2) {
        0.6
    } else if is_country && FILE_ENDINGS.contains(&text) {
        0.3
    } else if is_country {
        0.5
    } else {
        0.0
    }
}

/// Whether a last label may end an e-mail address's domain.
pub fn is_mail_domain(label: &[u8]) -> bool {
    const FILES: &[&[u8]] = &[b"png", b"jpg", b"jpeg", b"gif", b"svg", b"css", b"js", b"ts", b"html", b"json", b"xml", b"webp"];
    let letters = label.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80) || label.starts_with(b"xn--");
    label.len() >= 2 && letters && !FILES.contains(&label.to_ascii_lowercase().as_slice())
}

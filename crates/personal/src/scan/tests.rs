//! What tier 1 finds and what it does not, and what that costs. Numbers are published examples.

use super::*;
use crate::hit::resolve;

fn scan(text: &str) -> (Vec<Hit>, u64) {
    let patterns = Patterns::new().unwrap();
    let mut hits = Vec::new();
    let steps = patterns.scan(text, &Near::NOTHING, 0.5, &mut hits);
    resolve(&mut hits);
    (hits, steps)
}

/// The kinds and texts that are found, in order.
fn check(text: &str, expected: &[(Kind, &str)]) {
    let found: Vec<(Kind, &str)> = scan(text).0.iter().map(|hit| (hit.kind, hit.text(text))).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn addresses_of_the_internet() {
    check("mail ana.silva@example.org, please", &[(Kind::Email, "ana.silva@example.org")]);
    check("<müller@bücher.example>", &[(Kind::Email, "müller@bücher.example")]);
    check("icon@2x.png and @someone and a@b", &[]);
    check("see https://example.org/a?b=1.", &[(Kind::Url, "https://example.org/a?b=1")]);
    check("(www.example.org/x)", &[(Kind::Url, "www.example.org/x")]);
    check("e.g. this.Next sentence, main.rs, a.b.c, 3.14", &[]);
    check("from 203.0.113.77 now", &[(Kind::IpAddress, "203.0.113.77")]);
    check("version 1.2.3.4 and 300.1.2.3 and 1.2.3.4.5", &[]);
    check("host 2001:db8::8a2e:370:7334 up", &[(Kind::IpAddress, "2001:db8::8a2e:370:7334")]);
    check("std::vec 12:34:56 a::b", &[]);
    check(
        "mac 00:1A:2b:3C:4d:5E or 00-1A-2b-3C-4d-5E",
        &[(Kind::MacAddress, "00:1A:2b:3C:4d:5E"), (Kind::MacAddress, "00-1A-2b-3C-4d-5E")],
    );
}

#[test]
fn cards_and_accounts() {
    check("card 4111 1111 1111 1111 12/27", &[(Kind::PaymentCard, "4111 1111 1111 1111")]);
    check("378282246310005", &[(Kind::PaymentCard, "378282246310005")]);
    check("order 4111111111111111", &[]);
    check("4111111111111112", &[]);
    check("pay to DE89 3704 0044 0532 0130 00 today", &[(Kind::Iban, "DE89 3704 0044 0532 0130 00")]);
    check("gb82west12345698765432.", &[(Kind::Iban, "gb82west12345698765432")]);
    check("GB82 WEST 1234 5698 7654 33", &[]);
    check("routing number 021000021", &[(Kind::BankAccount, "021000021")]);
    check("send btc to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", &[(Kind::CryptoAddress, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")]);
}

#[test]
fn national_numbers() {
    check("my SSN is 536-90-4399.", &[(Kind::UsSsn, "536-90-4399")]);
    check("ssn: 536904399", &[(Kind::UsSsn, "536904399")]);
    check("536904399", &[]);
    check("The NHS number is 943 476 5919", &[(Kind::UkNhs, "943 476 5919")]);
    check("NINO AB 12 34 56 C", &[(Kind::UkNino, "AB 12 34 56 C")]);
    check("AB123456C", &[(Kind::UkNino, "AB123456C")]);
    check("steuer-id 86 095 742 719", &[(Kind::DeTaxId, "86 095 742 719")]);
    check("DNI 12345678Z y NIE X1234567L", &[(Kind::EsDni, "12345678Z"), (Kind::EsNie, "X1234567L")]);
    check("1 84 12 76 451 089 46", &[(Kind::FrNir, "1 84 12 76 451 089 46")]);
    check("RSSMRA85T10A562S", &[(Kind::ItCodiceFiscale, "RSSMRA85T10A562S")]);
    check("BSN: 111222333", &[(Kind::NlBsn, "111222333")]);
    check("PESEL 44051401359", &[(Kind::PlPesel, "44051401359")]);
    check("aadhaar 2341 2341 2346", &[(Kind::InAadhaar, "2341 2341 2346")]);
    check("TFN 123 456 782", &[(Kind::AuTfn, "123 456 782")]);
    check("NRIC S1234567D", &[(Kind::SgNric, "S1234567D")]);
    check("CPF 529.982.247-25", &[(Kind::BrCpf, "529.982.247-25")]);
    check("131052-308T", &[(Kind::FiHetu, "131052-308T")]);
    check("KVNR A123456780", &[(Kind::DeKvnr, "A123456780")]);
    check("A123456780 and 1EG4TE5MK73 and 780123/3540", &[]);
    check("MBI 1EG4-TE5-MK73", &[(Kind::UsMbi, "1EG4-TE5-MK73")]);
    check("medicare 1EG4TE5MK73", &[(Kind::UsMbi, "1EG4TE5MK73")]);
    check("rodné číslo 780123/3540", &[(Kind::CzRodneCislo, "780123/3540")]);
    check("rodné číslo 736028/5163", &[(Kind::CzRodneCislo, "736028/5163")]);
    check("CPR 070745-4285", &[(Kind::DkCpr, "070745-4285")]);
    check("85.07.30-033.28", &[(Kind::BeNrn, "85.07.30-033.28")]);
    check("身份证11010519491231002X", &[(Kind::CnResidentId, "11010519491231002X")]);
}

#[test]
fn telephones() {
    for phone in
        ["+1-984-182-0190", "+46 (0)8 928 571 38", "(212) 555-0143", "212-555-0143", "212.555.0143 ext. 12", "+442079460958"]
    {
        check(&format!("at {phone} now"), &[(Kind::Phone, phone)]);
    }
    check("020 7946 0958", &[(Kind::Phone, "020 7946 0958")]);
    check("phone: 60-56-85-91", &[(Kind::Phone, "60-56-85-91")]);
    check("60-56-85-91", &[]);
    for phone in ["138 1234 5678", "(11) 98765-4321", "8 (912) 345-67-89", "8 912 345 67 89", "612 34 56 78"] {
        check(&format!("at {phone} now"), &[(Kind::Phone, phone)]);
    }
    // What may be anything else needs a word.
    for phone in ["13812345678", "89123456789", "612 345 678", "11 98765-4321"] {
        check(&format!("at {phone} now"), &[]);
        check(&format!("mobile {phone} now"), &[(Kind::Phone, phone)]);
    }
    check("手机：13812345678", &[(Kind::Phone, "13812345678")]);
    check("fax 9472 7916", &[(Kind::Fax, "9472 7916")]);
    check("1700000000 and 0.12345678 and 12-34", &[]);
}

#[test]
fn dates_and_ages() {
    check("born on 29 February 1980", &[(Kind::BirthDate, "29 February 1980")]);
    check("DOB: 6/24/1991", &[(Kind::BirthDate, "6/24/1991")]);
    check("since 2000-04-16 11:34:35.", &[(Kind::Date, "2000-04-16 11:34:35")]);
    check("on March 3rd, 2021 or 12-Mar-1999", &[(Kind::Date, "March 3rd, 2021"), (Kind::Date, "12-Mar-1999")]);
    check("30.02.1980 and 2000-13-01 and 1-2-3", &[]);
    check("a 38-year-old male aged 38, 79 years old", &[(Kind::Age, "38"), (Kind::Age, "38"), (Kind::Age, "79")]);
}

#[test]
fn numbers_that_words_name() {
    check("passport no. L01X00T47", &[(Kind::Passport, "L01X00T47")]);
    check("MRN: 00482913", &[(Kind::MedicalRecord, "00482913")]);
    check("driver's license D1234567", &[(Kind::DriverLicence, "D1234567")]);
    check("member id XEA123456789", &[(Kind::HealthPlan, "XEA123456789")]);
    check("diagnosis E11.9 confirmed", &[(Kind::Diagnosis, "E11.9")]);
    check("zip 77036-1234 or Houston, TX 77036", &[(Kind::PostalCode, "77036-1234"), (Kind::PostalCode, "77036")]);
    check("SW1A 1AA and K1A 0B1", &[(Kind::PostalCode, "SW1A 1AA"), (Kind::PostalCode, "K1A 0B1")]);
    check("L01X00T47 00482913 D1234567", &[]);
}

#[test]
fn credentials() {
    check("key AKIAIOSFODNN7EXAMPLE here", &[(Kind::ApiKey, "AKIAIOSFODNN7EXAMPLE")]);
    let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9".repeat(2));
    check(&token, &[(Kind::ApiKey, token.as_str())]);
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    check(jwt, &[(Kind::ApiKey, jwt)]);
    check("password: hunter22 ok", &[(Kind::Password, "hunter22")]);
    check("postgres://bob:s3cret@db.example.org/x", &[(Kind::Password, "s3cret")]);
    let pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIG\n-----END EC PRIVATE KEY-----";
    check(pem, &[(Kind::PrivateKey, pem)]);
    check("password = \"tall.stone\"", &[(Kind::Password, "tall.stone")]);
    check("the password field and sk-learn and eyJust", &[]);
    check("password = os.environ[\"DB_PASSWORD\"]", &[]);
    check("connect(user=cfg.user, password=cfg.password)", &[]);
    check("const password = process.env.DB_PASS;", &[]);
}

#[test]
fn what_numbers_are_made_of_is_left_alone() {
    let quiet = [
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e",
        "3.141592653589793",
        "-122.419416",
        "1700000000123",
        "2.4.1",
        "v10.0.19041.1",
        "1e-9",
        "0x1F",
        "1,234,567.89",
        "192837465",
        "100000000001",
        "sha256:ab12cd34",
        "12:30",
        "99.9%",
        "$1234567890",
        "007",
        "1/2",
        "2024",
        "2024-W05",
        "10:20:30.123456",
        "1.0.0-rc.1",
        "0.0.0.0",
        "A4",
        "x86_64",
    ];
    for text in quiet {
        check(text, &[]);
    }
}

#[test]
fn hostile_texts_cost_a_bounded_number_of_steps() {
    let units = [
        "1",
        "1 ",
        "1-",
        "1.",
        "a@",
        "@",
        "a.",
        "a1.",
        ":",
        "::",
        "a:",
        "://",
        "a://",
        "a://b.c/",
        "(1)",
        "+1 ",
        "1x1",
        "eyJ",
        "-eyJ",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "sk-ant-",
        "password=",
        "0-0.",
        "4111 ",
        "GB82 ",
        "a1",
        "1a-",
        "00:",
        "00-",
        "é1",
        "é@é.",
        "SSN 1 ",
        "1 March ",
        "http://a.b@c:d/ ",
    ];
    // Ten megabytes of each would only repeat the same cost per byte; the cost per byte must not grow with the length.
    let cost = |unit: &str, bytes: usize| {
        let text = unit.repeat(bytes / unit.len());
        let patterns = Patterns::new().unwrap();
        let mut hits = Vec::new();
        patterns.scan(&text, &Near::NOTHING, 0.5, &mut hits) as f64 / text.len() as f64
    };
    for unit in units {
        let (short, long) = (cost(unit, 20_000), cost(unit, 400_000));
        assert!(long < 320.0, "`{unit}` costs {long} steps per byte");
        assert!(long < short * 1.2 + 1.0, "`{unit}` costs {short} steps per byte at first and {long} later");
    }
}

#[test]
fn ten_megabytes_without_a_break_are_read_once() {
    for unit in ["1", "a1"] {
        let text = unit.repeat(10_000_000 / unit.len());
        let steps = scan(&text).1;
        assert!(steps <= 2 * WINDOW_BYTES as u64, "{unit}: {steps}");
    }
}

//! The words of columns' names. Written down here from general knowledge.

use super::header::Need;
use crate::kind::Kind;

type Entry = (Kind, Need, f64, &'static str);

/// Names of columns, as they are met in many languages' tables: kind, need, score, and phrases between bars. The longest
/// phrase that fits wins.
pub const ENTRIES: &[Entry] = &[
    (
        Kind::GivenName,
        Need::Names,
        0.85,
        "first name|firstname|given name|forename|fname|vorname|prenom|prénom|nombre|middle name|given names\
         |имя|imię|imie|jméno|jmeno|förnamn|fornavn|etunimi|voornaam|keresztnév",
    ),
    (
        Kind::Surname,
        Need::Names,
        0.85,
        "last name|lastname|surname|family name|lname|nachname|apellido|apellidos|cognome|maiden name\
         |nom de famille|фамилия|nazwisko|příjmení|prijmeni|efternamn|etternavn|efternavn|sukunimi|achternaam|soyad\
         |soyadı|sobrenome|vezetéknév|prezime|επώνυμο",
    ),
    (
        Kind::Person,
        Need::Names,
        0.85,
        "full name|fullname|customer name|patient name|contact name|employee name|person name|client name\
         |user full name|cardholder|card holder|account holder|holder name|next of kin|beneficiary name\
         |doctor name|physician|student name|passenger name|guardian|spouse|mother name|father name\
         |emergency contact|фио|имя клиента|имя пациента|姓名|氏名|성명|ad soyad|imię i nazwisko|jméno a příjmení|họ và tên|họ tên|الاسم الكامل\
         |ονοματεπώνυμο",
    ),
    (
        Kind::Person,
        Need::Found,
        0.7,
        "name|person|patient|customer|employee|contact|author|owner|client|passenger|student|nom\
     |nome|naam|navn|namn|nimi|ime|isim|الاسم",
    ),
    (Kind::Username, Need::Short, 0.7, "username|user name|login|nickname|screen name|handle|user login|login name"),
    (
        Kind::PersonId,
        Need::Codes,
        0.6,
        "user id|userid|customer id|client id|employee id|student id|person id|subject id|participant id\
         |customer number|employee number|personnel number|staff id|passenger id|respondent id|household id\
         |cookie id|visitor id|session user|npi|customerid|patientid",
    ),
    (
        Kind::MedicalRecord,
        Need::Codes,
        0.8,
        "mrn|medical record|medical record number|patient id|patient number|encounter id|encounter number\
         |hospital number|patient nbr|chart number|admission id",
    ),
    (
        Kind::HealthPlan,
        Need::Codes,
        0.75,
        "health plan|member id|member number|beneficiary id|medicare number|medicaid id|insurance number\
         |insurance id|health insurance number|insurance policy number|subscriber id|health plan id",
    ),
    (Kind::Gender, Need::Short, 0.8, "gender|sex|geschlecht|sexe|sexo"),
    (Kind::Age, Need::SmallNumbers, 0.75, "age|age years|patient age|customer age|alter|edad|age at diagnosis|anchor age"),
    (
        Kind::BirthDate,
        Need::Dates,
        0.9,
        "dob|birth date|birthdate|birthday|date of birth|geburtsdatum|birth year|year of birth|date naissance\
         |fecha nacimiento|born|birth day",
    ),
    (
        Kind::Date,
        Need::Dates,
        0.6,
        "date of death|death date|admission date|discharge date|visit date|service date|appointment date",
    ),
    (
        Kind::Phone,
        Need::Found,
        0.9,
        "phone|phone number|telephone|mobile|mobile number|cell|cell phone|tel|phone no|telefon|home phone\
         |work phone|telefono|teléfono|telefone|celular|móvil|movil|телефон|手机|手机号|手机号码|电话|电话号码|電話|전화번호|휴대폰",
    ),
    (Kind::Fax, Need::Found, 0.85, "fax|fax number"),
    (Kind::Email, Need::Found, 0.95, "email|e mail|mail|email address|mail address|contact email"),
    (Kind::IpAddress, Need::Found, 0.9, "ip|ip address|client ip|remote addr|source ip|src ip|dst ip|ipaddr|ip addr"),
    (Kind::MacAddress, Need::Found, 0.9, "mac|mac address"),
    (Kind::DeviceId, Need::Codes, 0.75, "imei|imsi|device id|udid|idfa|advertising id|gaid|android id|device serial"),
    (
        Kind::Vehicle,
        Need::Codes,
        0.75,
        "vin|license plate|licence plate|plate number|number plate|vehicle registration|kennzeichen",
    ),
    (
        Kind::Address,
        Need::Streets,
        0.8,
        "address|street|street address|home address|addr|address line|address line 1|address 1|address 2\
         |adresse|strasse|straße|direccion|postal address|billing address|shipping address|mailing address",
    ),
    (Kind::PostalCode, Need::Short, 0.8, "zip|zip code|zipcode|postal code|postcode|post code|plz|code postal|cap|pincode"),
    (
        Kind::Place,
        Need::Names,
        0.6,
        "city|town|village|county|place of birth|birthplace|birth place|residence|district|neighborhood\
         |neighbourhood|stadt|ville|ciudad|hometown|home town|city of birth",
    ),
    (
        Kind::Coordinates,
        Need::Nothing,
        0.6,
        "latitude|longitude|lat|lon|lng|long lat|gps|coordinates|geolocation|lat long|geo point|lat lon\
         |pickup latitude|pickup longitude|dropoff latitude|dropoff longitude",
    ),
    (Kind::UsSsn, Need::Found, 0.95, "ssn|social security|social security number|social security no"),
    (Kind::UsItin, Need::Found, 0.9, "itin"),
    (Kind::Passport, Need::Codes, 0.85, "passport|passport number|passport no|reisepass"),
    (
        Kind::DriverLicence,
        Need::Codes,
        0.85,
        "driver license|drivers license|driver licence|driving licence|driver license number|dl number\
         |license number|licence number|drivers licence number",
    ),
    (Kind::DeKvnr, Need::Found, 0.95, "kvnr|versichertennummer|krankenversichertennummer"),
    (Kind::UsMbi, Need::Found, 0.95, "mbi|medicare beneficiary identifier|medicare id"),
    (Kind::CzRodneCislo, Need::Found, 0.95, "rodné číslo|rodne cislo|birth number"),
    (Kind::UkNhs, Need::Found, 0.95, "nhs|nhs number|nhs no"),
    (Kind::UkNino, Need::Found, 0.95, "nino|national insurance|national insurance number|ni number"),
    (
        Kind::NationalId,
        Need::Codes,
        0.85,
        "national id|national identity|national id number|identity number|id card|id card number\
         |identity card|tax id|taxpayer id|tin|personal id|personal number|personnummer|cpr|bsn|pesel|aadhaar\
         |aadhar|pan number|tfn|nric|dni|nie|nif|codice fiscale|steuer id|sin|cpf|curp|rut|hkid|citizen id\
         |national number|nir|ahv|voter id",
    ),
    (
        Kind::Diagnosis,
        Need::Nothing,
        0.8,
        "diagnosis|diagnoses|icd|icd10|icd 10|icd9|icd 9|icd code|disease|comorbidity|comorbidities|symptom\
         |symptoms|disorder|hiv|hiv status|diabetes|diabetic|depression|heart disease|hypertension|asthma\
         |covid|covid status|allergy|allergies|disability|pregnant|pregnancies|pregnancy|cancer|tumor|tumour\
         |stroke|medical condition|medical history|mental health|primary diagnosis|chronic conditions|diag 1\
         |diag 2|diag 3|cause of death|smoker|smoking status|smoking history",
    ),
    (
        Kind::Medication,
        Need::Nothing,
        0.75,
        "medication|medications|drug|drug name|prescription|dosage|insulin|ndc|ndc code|atc code|vaccine\
         |vaccination status|vaccinated|treatment plan|therapy|diabetesmed",
    ),
    (
        Kind::HealthMeasure,
        Need::Measures,
        0.75,
        "blood pressure|bloodpressure|bmi|body mass index|glucose|blood glucose|glucose level\
         |avg glucose level|cholesterol|heart rate|hemoglobin|haemoglobin|systolic|diastolic|systolic bp\
         |diastolic bp|blood type|blood group|creatinine|hba1c|hba1c level|blood glucose level\
         |oxygen saturation|spo2|lab result|lab results|skin thickness|skinthickness|trestbps|a1cresult",
    ),
    (Kind::Religion, Need::Nothing, 0.9, "religion|religious affiliation|faith|denomination|religious belief"),
    (Kind::Ethnicity, Need::Origin, 0.85, "race"),
    (
        Kind::Ethnicity,
        Need::Nothing,
        0.85,
        "ethnicity|ethnic group|ethnic origin|ethnic|racial group|race ethnicity|ethnicities|skin color\
         |skin colour",
    ),
    (
        Kind::Nationality,
        Need::Nothing,
        0.75,
        "nationality|citizenship|native country|country of birth|country of citizenship|nationalities\
         |native language|mother tongue",
    ),
    (Kind::Orientation, Need::Nothing, 0.95, "sexual orientation|sexuality|sexual preference|sex life|lgbt|lgbtq"),
    (Kind::TradeUnion, Need::Nothing, 0.9, "trade union|union member|union membership|labor union|labour union|union status"),
    (
        Kind::Politics,
        Need::Nothing,
        0.85,
        "political party|party affiliation|political affiliation|political views|political opinion\
         |party membership|voted for|political leaning|political orientation",
    ),
    (
        Kind::Biometric,
        Need::Nothing,
        0.9,
        "fingerprint|fingerprints|biometric|biometrics|retina scan|iris scan|iris code|face encoding\
         |face embedding|faceprint|voiceprint|voice print|palm print|face template",
    ),
    (Kind::Genetic, Need::Nothing, 0.9, "genetic|genome|dna|dna sequence|genotype|brca1|brca2|snp|snps|genetic test|rsid|apoe"),
    (
        Kind::Photograph,
        Need::Nothing,
        0.7,
        "photo|selfie|face image|portrait|profile picture|profile photo|headshot|face photo|mugshot",
    ),
    (
        Kind::PaymentCard,
        Need::Found,
        0.95,
        "card number|credit card|credit card number|cc number|card no|pan|debit card|payment card|cardnumber\
         |cc num|ccnum",
    ),
    (Kind::PaymentCard, Need::Short, 0.8, "cvv|cvc|card expiry|card expiration"),
    (Kind::Iban, Need::Found, 0.95, "iban"),
    (
        Kind::BankAccount,
        Need::Codes,
        0.85,
        "account number|bank account|bank account number|routing number|sort code|account no|kontonummer\
         |acct num|bank routing",
    ),
    (Kind::CryptoAddress, Need::Found, 0.9, "wallet|wallet address|btc address|eth address"),
    (
        Kind::Income,
        Need::Nothing,
        0.7,
        "salary|income|annual income|wage|wages|net worth|account balance|estimated salary|household income\
         |monthly income|pay rate|annual salary|base salary|capital gain|capital loss|hourly rate|gehalt\
         |applicant income|estimatedsalary|monthlyincome",
    ),
    (
        Kind::CreditScore,
        Need::Nothing,
        0.75,
        "credit score|creditscore|fico|fico score|credit rating|credit history|bankruptcy|bankruptcies\
         |debt to income|default payment next month",
    ),
    (Kind::Password, Need::Short, 0.95, "password|passwd|pwd|password hash|passphrase|pin code|security answer|hashed password"),
    (
        Kind::ApiKey,
        Need::Codes,
        0.9,
        "api key|apikey|access token|auth token|secret key|client secret|refresh token|bearer token\
         |access key",
    ),
    (Kind::PrivateKey, Need::Nothing, 0.9, "private key"),
    (Kind::MaritalStatus, Need::Short, 0.75, "marital status|maritalstatus|marital|civil status|ever married"),
    (Kind::Occupation, Need::Short, 0.6, "occupation|job title|profession|job role|employer|employer name"),
    (Kind::Education, Need::Short, 0.6, "education|education level|highest degree|educational attainment|education num"),
];

//! What can be found, and what it means: classes, HIPAA's identifiers, GDPR's special categories.

use serde::{Deserialize, Serialize};

/// What a value or a column is, for policies. A column has the union of its kinds' classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// About an identified or identifiable person.
    Personal,
    /// A special category of GDPR article 9 other than health.
    SpecialCategory,
    /// Health data (GDPR article 9, HIPAA).
    Health,
    /// Accounts, cards, income.
    Financial,
    /// Something that opens doors: passwords, keys, tokens.
    Credential,
    /// Where somebody is or lives.
    Location,
}

/// The identifiers of HIPAA's Safe Harbor method, 45 CFR 164.514(b)(2)(i), (A) to (R).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identifier {
    /// (A)
    Name,
    /// (B) all subdivisions smaller than a state
    Geography,
    /// (C) all elements of dates but the year, and ages over 89
    Date,
    /// (D)
    Telephone,
    /// (E)
    Fax,
    /// (F)
    Email,
    /// (G)
    SocialSecurity,
    /// (H)
    MedicalRecord,
    /// (I)
    HealthPlan,
    /// (J)
    Account,
    /// (K) certificates and licences
    Licence,
    /// (L)
    Vehicle,
    /// (M)
    Device,
    /// (N)
    Url,
    /// (O)
    IpAddress,
    /// (P)
    Biometric,
    /// (Q)
    Photograph,
    /// (R) any other unique number, characteristic or code
    Other,
}

/// The special categories of GDPR article 9(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecialCategory {
    /// Racial or ethnic origin.
    Origin,
    /// Political opinions.
    Politics,
    /// Religious or philosophical beliefs.
    Belief,
    /// Trade-union membership.
    TradeUnion,
    /// Genetic data.
    Genetic,
    /// Biometric data.
    Biometric,
    /// Data concerning health.
    Health,
    /// Sex life or sexual orientation.
    Orientation,
}

macro_rules! kinds {
    ($($variant:ident $class:ident $identifier:ident $doc:literal;)+) => {
        /// What was found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $(#[doc = $doc] $variant,)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The class that a value of this kind gives; none for what says nothing about a person by itself.
            #[must_use]
            pub const fn class(self) -> Option<Class> {
                match self { $(Self::$variant => class!($class),)+ }
            }

            /// HIPAA's identifier that it is, if any.
            #[must_use]
            pub const fn identifier(self) -> Option<Identifier> {
                match self { $(Self::$variant => identifier!($identifier),)+ }
            }
        }
    };
}
macro_rules! class {
    (Nothing) => {
        None
    };
    ($class:ident) => {
        Some(Class::$class)
    };
}
macro_rules! identifier {
    (Nothing) => {
        None
    };
    ($identifier:ident) => {
        Some(Identifier::$identifier)
    };
}

kinds! {
    Person Personal Name "A person's name.";
    GivenName Personal Name "A given name, as a column.";
    Surname Personal Name "A family name, as a column.";
    Username Personal Other "An account's name.";
    Organisation Nothing Nothing "A company, an authority, a club.";
    Place Location Geography "A town, a region, a country.";
    Address Location Geography "A street address.";
    PostalCode Location Geography "A postal code.";
    Coordinates Location Geography "Latitude and longitude.";
    Date Nothing Date "A date; whose, is not known.";
    Year Nothing Nothing "A year by itself, in a sentence.";
    Weekday Nothing Date "A day of the week, in a sentence.";
    BirthDate Personal Date "A date of birth.";
    Age Personal Nothing "An age.";
    Gender Personal Nothing "Sex or gender.";
    MaritalStatus Personal Nothing "Marital status.";
    Occupation Personal Nothing "An occupation.";
    Education Personal Nothing "A level of education.";
    Email Personal Email "An e-mail address.";
    Phone Personal Telephone "A telephone number.";
    Fax Personal Fax "A fax number.";
    Url Nothing Url "A web address or a domain.";
    IpAddress Personal IpAddress "An IPv4 or IPv6 address.";
    MacAddress Personal Device "A network card's address.";
    DeviceId Personal Device "A device's serial number (IMEI and the like).";
    Vehicle Personal Vehicle "A vehicle's number.";
    PaymentCard Financial Account "A payment card's number.";
    Iban Financial Account "An international bank account number.";
    BankAccount Financial Account "A bank account or routing number.";
    CryptoAddress Financial Account "The address of a wallet.";
    Income Financial Nothing "Salary, income, balance.";
    CreditScore Financial Nothing "A credit score or default.";
    UsSsn Personal SocialSecurity "US social security number.";
    UsItin Personal Other "US individual taxpayer number.";
    Passport Personal Licence "A passport's number.";
    DriverLicence Personal Licence "A driver's licence number.";
    UkNhs Health MedicalRecord "UK NHS number.";
    DeKvnr Health HealthPlan "German health insurance number (KVNR).";
    UsMbi Health HealthPlan "US Medicare beneficiary identifier (MBI).";
    UkNino Personal Other "UK national insurance number.";
    DeTaxId Personal Other "German tax identification number.";
    EsDni Personal Other "Spanish DNI.";
    EsNie Personal Other "Spanish NIE.";
    FrNir Personal Other "French social security number.";
    ItCodiceFiscale Personal Other "Italian codice fiscale.";
    NlBsn Personal Other "Dutch citizen service number.";
    PlPesel Personal Other "Polish PESEL.";
    BeNrn Personal Other "Belgian national register number.";
    ChAhv Personal Other "Swiss AHV number.";
    SePersonnummer Personal Other "Swedish personal identity number.";
    CzRodneCislo Personal Other "Czech or Slovak birth number (rodné číslo).";
    DkCpr Personal Other "Danish CPR number.";
    NoFodselsnummer Personal Other "Norwegian national identity number.";
    FiHetu Personal Other "Finnish personal identity code.";
    TrKimlik Personal Other "Turkish identity number.";
    InAadhaar Personal Other "Indian Aadhaar number.";
    InPan Personal Other "Indian permanent account number.";
    AuTfn Personal Other "Australian tax file number.";
    AuAbn Nothing Nothing "Australian business number.";
    AuMedicare Health HealthPlan "Australian Medicare number.";
    SgNric Personal Other "Singapore NRIC or FIN.";
    CaSin Personal Other "Canadian social insurance number.";
    BrCpf Personal Other "Brazilian CPF.";
    MxCurp Personal Other "Mexican CURP.";
    CnResidentId Personal Other "Chinese resident identity number.";
    KrRrn Personal Other "Korean resident registration number.";
    ZaId Personal Other "South African identity number.";
    JpMyNumber Personal Other "Japanese individual number.";
    NationalId Personal Other "A national identity number, by its column's name.";
    MedicalRecord Health MedicalRecord "A medical record's number.";
    HealthPlan Health HealthPlan "A health plan's or insured person's number.";
    Diagnosis Health Nothing "A diagnosis, as code or words.";
    Medication Health Nothing "A drug or a treatment.";
    HealthMeasure Health Nothing "A measurement of a body or of a health state.";
    Religion SpecialCategory Nothing "Religion or belief.";
    Ethnicity SpecialCategory Nothing "Race or ethnic origin.";
    Nationality SpecialCategory Nothing "Nationality, religious or political group.";
    Orientation SpecialCategory Nothing "Sex life or sexual orientation.";
    TradeUnion SpecialCategory Nothing "Membership of a trade union.";
    Politics SpecialCategory Nothing "Political opinion.";
    Biometric SpecialCategory Biometric "Biometric data.";
    Genetic SpecialCategory Biometric "Genetic data.";
    Photograph Personal Photograph "A picture of a face.";
    PersonId Personal Other "A number that stands for one person, by its column's name.";
    ApiKey Credential Other "An API key or an access token.";
    PrivateKey Credential Other "A private key.";
    Password Credential Other "A password.";
}

impl Kind {
    /// Every class that a value of this kind gives. A street address is a place, and where somebody lives.
    pub fn classes(self) -> impl Iterator<Item = Class> {
        let besides = (self == Self::Address).then_some(Class::Personal);
        self.class().into_iter().chain(besides)
    }

    /// The special category of GDPR article 9 that it belongs to, if any.
    #[must_use]
    pub const fn special_category(self) -> Option<SpecialCategory> {
        Some(match self {
            Self::Religion => SpecialCategory::Belief,
            Self::Ethnicity | Self::Nationality => SpecialCategory::Origin,
            Self::Orientation => SpecialCategory::Orientation,
            Self::TradeUnion => SpecialCategory::TradeUnion,
            Self::Politics => SpecialCategory::Politics,
            Self::Biometric => SpecialCategory::Biometric,
            Self::Genetic => SpecialCategory::Genetic,
            Self::Diagnosis
            | Self::Medication
            | Self::HealthMeasure
            | Self::MedicalRecord
            | Self::HealthPlan
            | Self::UkNhs
            | Self::DeKvnr
            | Self::UsMbi
            | Self::AuMedicare => SpecialCategory::Health,
            _ => return None,
        })
    }

    /// Whether a few such columns together single out a person though none does alone (Sweeney, 2000).
    #[must_use]
    pub const fn is_quasi_identifier(self) -> bool {
        matches!(
            self,
            Self::Age
                | Self::BirthDate
                | Self::Gender
                | Self::MaritalStatus
                | Self::Occupation
                | Self::Education
                | Self::PostalCode
                | Self::Place
                | Self::Ethnicity
                | Self::Nationality
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_name_and_keeps_it_through_json() {
        let mut names = std::collections::BTreeSet::new();
        for kind in Kind::ALL {
            let name = serde_json::to_string(kind).unwrap();
            assert_eq!(serde_json::from_str::<Kind>(&name).unwrap(), *kind);
            assert!(names.insert(name));
        }
    }

    #[test]
    fn a_street_address_is_a_place_and_personal_and_a_town_is_a_place() {
        assert_eq!(Kind::Address.classes().collect::<Vec<_>>(), [Class::Location, Class::Personal]);
        assert_eq!(Kind::Place.classes().collect::<Vec<_>>(), [Class::Location]);
        assert_eq!(Kind::Url.classes().count(), 0);
    }

    #[test]
    fn special_categories_are_classed_as_such() {
        for kind in Kind::ALL {
            let expected = kind.special_category().is_some();
            let classed = matches!(kind.class(), Some(Class::SpecialCategory | Class::Health));
            assert_eq!(classed, expected, "{kind:?}");
        }
    }
}

//! Words that whole values are made of: names, religions, diagnoses, drugs and the like. Written down here from general
//! knowledge, none taken from a data set.

use std::collections::HashMap;
use std::sync::Arc;

use super::health;
use crate::checks::icd10;
use crate::hit::Hit;
use crate::kind::Kind;
use crate::names::{Names, fold};

const GENDERS: &str = "male female man woman non-binary nonbinary transgender männlich weiblich homme femme hombre mujer divers";
const RELIGIONS: &str = "christian christianity catholic catholicism protestant islam muslim hindu hinduism buddhist buddhism jewish judaism sikh \
    sikhism atheist agnostic orthodox mormon anglican lutheran baptist methodist taoist shinto bahai jain pagan evangelical";
const ETHNICITIES: &str = "white black caucasian hispanic latino latina latinx asian african-american african_american africanamerican amer-indian-eskimo \
    asian-pac-islander mixed multiracial roma sinti arab maori aboriginal native_american pacific_islander indigenous";
const ORIENTATIONS: &str = "heterosexual homosexual bisexual gay lesbian straight asexual pansexual queer";
const POLITICS: &str = "democrat republican independent conservative liberal labour labor tory socialist communist green greens libertarian spd cdu \
    fdp afd";
const MARITAL: &str = "married single divorced widowed separated unmarried never-married married-civ-spouse engaged";
const DRUGS: &str = "metformin insulin aspirin ibuprofen paracetamol acetaminophen atorvastatin simvastatin lisinopril ramipril amlodipine metoprolol \
    bisoprolol omeprazole pantoprazole amoxicillin azithromycin ciprofloxacin doxycycline levothyroxine prednisone prednisolone warfarin \
    clopidogrel heparin furosemide hydrochlorothiazide losartan valsartan gabapentin pregabalin sertraline fluoxetine citalopram escitalopram \
    venlafaxine diazepam lorazepam alprazolam zolpidem quetiapine olanzapine risperidone lithium morphine oxycodone tramadol fentanyl codeine \
    albuterol salbutamol montelukast cetirizine loratadine tamoxifen methotrexate cisplatin rituximab adalimumab penicillin naproxen diclofenac \
    glipizide sitagliptin empagliflozin semaglutide rosuvastatin spironolactone carvedilol digoxin allopurinol finasteride tamsulosin";
const DISEASES: &str = "diabetes hypertension asthma cancer depression anxiety arthritis influenza pneumonia tuberculosis malaria hepatitis hiv aids \
    epilepsy migraine stroke obesity anemia anaemia leukemia leukaemia lymphoma melanoma carcinoma dementia alzheimer parkinson schizophrenia \
    bipolar copd bronchitis covid-19 covid osteoporosis psoriasis eczema gout sepsis cirrhosis endometriosis hypothyroidism hyperlipidemia \
    hyperlipidaemia angina arrhythmia thrombosis embolism appendicitis gastritis colitis nephritis neuropathy glaucoma cataract fracture concussion";

/// Endings of streets' names that are written as one word, without marks.
const STREET_ENDINGS: [&str; 20] = [
    "str", "strasse", "gasse", "weg", "allee", "platz", "ring", "damm", "ufer", "straat", "laan", "plein", "gatan", "vagen",
    "veien", "vegen", "vej", "gade", "katu", "tie",
];

/// The lists as one table, with the recogniser's names.
#[derive(Debug)]
pub struct ValueWords {
    words: HashMap<String, Kind>,
    names: Arc<Names>,
}

impl ValueWords {
    pub fn new() -> Self {
        let lists = [
            (GENDERS, Kind::Gender),
            (POLITICS, Kind::Politics),
            (RELIGIONS, Kind::Religion),
            (ETHNICITIES, Kind::Ethnicity),
            (ORIENTATIONS, Kind::Orientation),
            (MARITAL, Kind::MaritalStatus),
            (DRUGS, Kind::Medication),
            (DISEASES, Kind::Diagnosis),
        ];
        let mut words = HashMap::new();
        for (list, kind) in lists {
            for word in list.split_whitespace() {
                words.insert(fold(&word.replace('_', " ")), kind);
            }
        }
        Self { words, names: Names::shared() }
    }

    /// The kinds that a whole value may be, as the lists see it.
    pub fn kinds_of(&self, value: &str, disease_codes: bool) -> impl Iterator<Item = Kind> {
        const VALUE_BYTES_MAX: usize = 80;
        let short = value.len() <= VALUE_BYTES_MAX;
        let value = if short { value } else { "" };
        let listed = self.words.get(&fold(value)).copied();
        // The first word of `Diabetes mellitus type 2` or `Metformin 500 mg` says enough.
        let first = value.split([' ', ',', '/']).next().unwrap_or_default();
        let medical = self.words.get(&fold(first)).copied().filter(|kind| matches!(kind, Kind::Diagnosis | Kind::Medication));
        let coded = (disease_codes && icd10(value.as_bytes()) && value.contains('.')).then_some(Kind::Diagnosis);
        let mut kinds = [listed.or(coded).or(medical), None, None, None];
        if value.split_whitespace().count() == 1 {
            let known = self.names.known(value);
            let set = [(known.is_given(), Kind::GivenName), (known.is_surname(), Kind::Surname), (known.is_place(), Kind::Place)];
            for (slot, (holds, kind)) in kinds.iter_mut().skip(1).zip(set) {
                *slot = holds.then_some(kind);
            }
        } else if self.is_person(value) {
            kinds = [Some(Kind::Person), None, None, None];
        }
        kinds.into_iter().flatten()
    }

    /// Two to four words, the first or last of which is a given name and another a family name or in no list of common words.
    fn is_person(&self, value: &str) -> bool {
        let words: Vec<&str> = value.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let capital = words.iter().all(|word| {
            word.starts_with(char::is_uppercase) || matches!(*word, "van" | "de" | "von" | "da" | "der" | "al" | "bin" | "di")
        });
        let given = words.iter().any(|word| self.names.known(word).is_given());
        let other = words.iter().any(|word| {
            let known = self.names.known(word);
            known.is_surname() || !(known.is_given() || known.is_common() || known.is_place())
        });
        (2..=5).contains(&words.len()) && capital && given && other && !value.bytes().any(|byte| byte.is_ascii_digit())
    }

    /// What a text tells of somebody's health: a disease or a drug, with words nearby that speak of who has or takes it.
    pub fn health_in(&self, text: &str) -> Vec<Hit> {
        health::found(text, |word| {
            let kind = self.words.get(&fold(word)).copied();
            kind.filter(|kind| matches!(kind, Kind::Diagnosis | Kind::Medication))
        })
    }

    /// Whether a list bears out what the recogniser saw: numbers in sentences look like those of houses, and a drug that opens one
    /// like a name.
    pub fn is_believed(&self, hit: &Hit, text: &str) -> bool {
        let words = || hit.text(text).split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.len() > 1);
        match hit.kind {
            Kind::Address => words().any(|word| {
                let folded = fold(word);
                let ends = |ending: &str| folded.len() > ending.len() + 2 && folded.ends_with(ending);
                self.names.known(word).is_street()
                    || matches!(folded.as_str(), "ul" | "av" | "bd")
                    || STREET_ENDINGS.iter().any(|ending| ends(ending))
            }),
            Kind::Person => !words().all(|word| {
                let known = self.names.known(word);
                let listed = matches!(self.words.get(&fold(word)), Some(Kind::Diagnosis | Kind::Medication));
                listed && !known.is_given() && !known.is_surname()
            }),
            _ => true,
        }
    }

    /// Whether a text names a people or a colour of skin, or is a code of one or two letters.
    pub fn is_origin(&self, text: &str) -> bool {
        const WORDS_MAX: usize = 8;
        let is_code = text.chars().count() <= 2 && text.chars().all(char::is_alphabetic);
        let names = |word: &str| self.words.get(&fold(word)) == Some(&Kind::Ethnicity) || self.names.known(word).is_people(word);
        let mut words = text.split([' ', ',', '/', ';', '(', ')']).filter(|word| !word.is_empty()).take(WORDS_MAX);
        is_code || words.any(|word| names(word) || word.split('-').any(names))
    }

    /// Whether a text is a whole number of 0 to 130.
    pub fn is_small_number(&self, text: &str) -> bool {
        text.len() <= 5 && text.trim_end_matches(".0").parse::<u32>().is_ok_and(|number| number <= 130)
    }
}

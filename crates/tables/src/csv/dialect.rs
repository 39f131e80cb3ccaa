//! What a CSV looks like: delimiter, quote, header; found out from its beginning where the user did not say.

use crate::csv::header::{Guess, Head};
use crate::csv::splitter::{Record, Splitter};
use crate::limits::SAMPLE_RECORD_COUNT;
use crate::table::CsvOptions;

/// How a CSV is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The byte between fields.
    pub delimiter: u8,
    /// The byte around fields.
    pub quote: u8,
    /// Whether the first record names the columns.
    pub header: bool,
    /// Whether that is plain, or was said by the user.
    pub header_sure: bool,
    /// Whether it was said by the user.
    pub header_said: bool,
    /// Fields of most records.
    pub field_count: usize,
}

/// What one pair of delimiter and quote makes of the sample.
struct Trial {
    delimiter: u8,
    quote: u8,
    /// Fields of most records, and how many records have so many.
    field_count: usize,
    agreeing: usize,
    records: usize,
    quoted: usize,
    stray: usize,
}

/// The dialect of a text that begins with `sample`; `ended` if that is all of it.
#[must_use]
pub fn find_dialect(path: &str, sample: &[u8], ended: bool, options: CsvOptions) -> Dialect {
    let by_name = path.rsplit_once('.').filter(|(_, ending)| matches!(*ending, "tsv" | "tab")).map(|_| b'\t');
    let delimiters = options.delimiter.or(by_name).map_or_else(|| b",\t;|".to_vec(), |byte| vec![byte]);
    let quotes = options.quote.map_or_else(|| b"\"'".to_vec(), |byte| vec![byte]);
    let mut best: Option<Trial> = None;
    for quote in quotes {
        for delimiter in &delimiters {
            let trial = try_out(sample, ended, *delimiter, quote);
            if best.as_ref().is_none_or(|best| is_better(&trial, best)) {
                best = Some(trial);
            }
        }
    }
    let Some(best) = best else {
        return Dialect { delimiter: b',', quote: b'"', header: false, header_sure: true, header_said: false, field_count: 1 };
    };
    let guess = match options.header {
        Some(header) => Guess { header, sure: true },
        None => {
            let mut head = Head::default();
            each_record(sample, ended, best.delimiter, best.quote, |record, text| head.see(record, text));
            head.guess()
        }
    };
    Dialect {
        delimiter: best.delimiter,
        quote: best.quote,
        header: guess.header,
        header_sure: guess.sure,
        header_said: options.header.is_some(),
        field_count: best.field_count,
    }
}

/// Several fields are better than one, agreement on their number is better than none, then more fields. Another quote than
/// the first must be in use, and used properly.
fn is_better(trial: &Trial, best: &Trial) -> bool {
    if trial.quote != best.quote && (trial.records == 0 || trial.quoted * 2 < trial.records || trial.stray > 0 || best.quoted > 0)
    {
        return false;
    }
    if trial.quote != best.quote && trial.delimiter == best.delimiter {
        return true;
    }
    let rank = |trial: &Trial| {
        let agreement = trial.agreeing * 100 / trial.records.max(1);
        (trial.field_count > 1 && agreement >= 50, agreement, trial.field_count)
    };
    rank(trial) > rank(best)
}

fn try_out(sample: &[u8], ended: bool, delimiter: u8, quote: u8) -> Trial {
    let mut counts: Vec<usize> = Vec::new();
    let (mut quoted, mut stray) = (0, 0);
    each_record(sample, ended, delimiter, quote, |record, text| {
        counts.push(record.field_count());
        stray += usize::from(record.has_stray_text());
        quoted += usize::from((0..record.field_count()).map_while(|index| record.field(text, index)).any(|field| field.1));
    });
    let (field_count, agreeing) = most_frequent(&counts);
    Trial { delimiter, quote, field_count, agreeing, records: counts.len(), quoted, stray }
}

/// Hands the sample's first records to `see`, empty lines left out.
fn each_record(sample: &[u8], ended: bool, delimiter: u8, quote: u8, mut see: impl FnMut(&Record, &str)) {
    let mut splitter = Splitter::new(delimiter, quote, 1);
    let mut rest = sample;
    let mut count = 0;
    while count < SAMPLE_RECORD_COUNT {
        let complete = match splitter.feed(rest) {
            Ok((taken, complete)) => {
                rest = rest.get(taken..).unwrap_or_default();
                complete || (rest.is_empty() && ended && splitter.finish() == Ok(true))
            }
            Err(_) => false,
        };
        if !complete {
            break;
        }
        let record = splitter.record();
        if !record.is_blank() {
            see(record, &String::from_utf8_lossy(record.bytes()));
            count += 1;
        }
    }
}

/// Whether a beginning of a text holds two whole records.
#[must_use]
pub fn holds_two_records(sample: &[u8]) -> bool {
    let mut count = 0;
    each_record(sample, false, b',', b'"', |_, _| count += 1);
    count >= 2
}

fn most_frequent(counts: &[usize]) -> (usize, usize) {
    let mut best = (1, 0);
    for count in counts {
        let agreeing = counts.iter().filter(|other| *other == count).count();
        if agreeing > best.1 {
            best = (*count, agreeing);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, sample: &str, delimiter: u8, quote: u8, header: bool, field_count: usize) {
        let found = find_dialect(path, sample.as_bytes(), true, CsvOptions::default());
        let expected = Dialect { delimiter, quote, header, header_sure: found.header_sure, header_said: false, field_count };
        assert_eq!(found, expected, "{sample:?}");
    }

    #[test]
    fn dialects() {
        check("a.csv", "a,b\n1,2\n", b',', b'"', true, 2);
        check("a.csv", "1,2\n3,4\n", b',', b'"', false, 2);
        check("a.csv", "a;b\n1,5;2\n2,5;3\n", b';', b'"', true, 2);
        check("a.csv", "a\tb,c\td\n1\t2\t3\n", b'\t', b'"', true, 3);
        check("a.tsv", "a,b\tc\n", b'\t', b'"', true, 2);
        check("a.csv", "a|b\n1|2\n", b'|', b'"', true, 2);
        check("a.csv", "name\nBob\n", b',', b'"', true, 1);
        check("a.csv", "'a','b,c'\n'1','2'\n", b',', b'\'', true, 2);
        check("a.csv", "a,b\nO'Brien,it's\n", b',', b'"', true, 2);
        check("a.data", "39, State-gov, 77516\n50, Private, 83311\n", b',', b'"', false, 3);
        check("a.csv", ",name\n0,x\n", b',', b'"', true, 2);
        check("a.csv", "", b',', b'"', false, 1);
    }

    #[test]
    fn what_the_user_says_holds() {
        let options = CsvOptions { delimiter: Some(b' '), quote: None, header: Some(true) };
        let found = find_dialect("a.csv", b"1 2\n3 4\n", true, options);
        let (header, header_sure, header_said) = (true, true, true);
        assert_eq!(found, Dialect { delimiter: b' ', quote: b'"', header, header_sure, header_said, field_count: 2 });
    }
}

//! Moments as signatures write them: `20130524T000000Z`.

use kernel::{Civil, Micros};

/// Reads `YYYYMMDD'T'HHMMSS'Z'`.
pub fn parse(text: &str) -> Option<Micros> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    if date.len() != 8 || time.len() != 6 {
        return None;
    }
    let number = |text: &str, from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    Civil {
        year: number(date, 0, 4)?,
        month: number(date, 4, 6)?,
        day: number(date, 6, 8)?,
        hour: number(time, 0, 2)?,
        minute: number(time, 2, 4)?,
        second: number(time, 4, 6)?,
    }
    .at()
}

/// Writes what [`parse`] reads.
pub fn text(at: Micros) -> String {
    let Civil { year, month, day, hour, minute, second } = at.civil();
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The day of it: `20130524`.
pub fn day(at: Micros) -> String {
    let Civil { year, month, day, .. } = at.civil();
    format!("{year:04}{month:02}{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways_and_nothing_else_is_one() {
        let at = parse("20130524T000000Z").unwrap();
        assert_eq!((at.rfc3339_seconds().as_str(), text(at).as_str()), ("2013-05-24T00:00:00Z", "20130524T000000Z"));
        assert_eq!(day(at), "20130524");
        for bad in [
            "",
            "20130524",
            "20130524T000000",
            "20130524T000000z",
            "20130532T000000Z",
            "20130524T240000Z",
            "2013-05-24T00:00:00Z",
            "+0130524T000000Z",
            "20130524T0000 0Z",
            "20130524T000000Z ",
            "2013052éT00000Z",
            "Fri, 24 May 2013 00:00:00 GMT",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

//! The rows of the public data set for risk-based authentication (das-group/rba-dataset, CC BY 4.0), as its CSV has them.

use std::io::Read;
use std::net::IpAddr;

use kernel::{Civil, Micros};

use crate::geo::Country;

/// The account that stands for all unknown user names there.
pub const SINK_USER: i64 = -4_324_475_583_306_591_935;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When.
    pub at: Micros,
    /// Whose account.
    pub user: i64,
    /// From which address.
    pub address: IpAddr,
    /// Its country, where it is two letters.
    pub country: Option<Country>,
    /// Its city.
    pub city: String,
    /// Its network.
    pub network: u32,
    /// What the client called itself.
    pub agent: String,
    /// Browser and version.
    pub browser: String,
    /// System and version.
    pub system: String,
    /// Kind of device.
    pub device: String,
    /// It got in.
    pub is_successful: bool,
    /// Its address was in a list of attackers'.
    pub is_attack_address: bool,
    /// It was found to be an account taken over.
    pub is_takeover: bool,
}

const COLUMNS: [&str; 13] = [
    "Login Timestamp",
    "User ID",
    "IP Address",
    "Country",
    "City",
    "ASN",
    "User Agent String",
    "Browser Name and Version",
    "OS Name and Version",
    "Device Type",
    "Login Successful",
    "Is Attack IP",
    "Is Account Takeover",
];

/// Reads rows one by one; the order of the columns is the file's.
pub struct Rows<R> {
    records: csv::StringRecordsIntoIter<R>,
    columns: [usize; COLUMNS.len()],
}

impl<R: Read> Rows<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// The column that is missing.
    pub fn new(from: R) -> Result<Self, String> {
        let mut reader = csv::Reader::from_reader(from);
        let head = reader.headers().map_err(|error| error.to_string())?.clone();
        let mut columns = [0; COLUMNS.len()];
        for (place, name) in columns.iter_mut().zip(COLUMNS) {
            let found = head.iter().position(|column| column.trim().trim_start_matches('\u{feff}') == name);
            *place = found.ok_or_else(|| format!("there is no column `{name}`"))?;
        }
        Ok(Self { records: reader.into_records(), columns })
    }

    fn row(&self, record: &csv::StringRecord) -> Result<Row, String> {
        let line = record.position().map_or(0, csv::Position::line);
        let mut fields = self.columns.iter().map(|at| record.get(*at).unwrap_or_default());
        let mut next = || fields.next().unwrap_or_default();
        let wrong = |what: &str, text: &str| format!("line {line}: `{}` is no {what}", text.chars().take(60).collect::<String>());
        let (at, user, address, country, city, network) = (next(), next(), next(), next(), next(), next());
        let (agent, browser, system, device) = (next(), next(), next(), next());
        let mut flag = || {
            let text = next();
            text.to_ascii_lowercase().parse::<bool>().map_err(|_| wrong("True or False", text))
        };
        Ok(Row {
            at: moment(at).ok_or_else(|| wrong("moment", at))?,
            user: user.parse().map_err(|_| wrong("user id", user))?,
            address: address.parse().map_err(|_| wrong("address", address))?,
            country: Country::parse(country),
            city: city.to_owned(),
            network: network.parse().map_err(|_| wrong("network", network))?,
            agent: agent.to_owned(),
            browser: browser.to_owned(),
            system: system.to_owned(),
            device: device.to_owned(),
            is_successful: flag()?,
            is_attack_address: flag()?,
            is_takeover: flag()?,
        })
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        Some(record.map_err(|error| error.to_string()).and_then(|record| self.row(&record)))
    }
}

/// `2020-02-03 12:43:30.772`
fn moment(text: &str) -> Option<Micros> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let parts = |text: &str, between: char| -> Option<[i64; 3]> {
        let mut parts = text.split(between).map(str::parse::<i64>);
        let three = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
        parts.next().is_none().then_some(three)
    };
    let ([year, month, day], [hour, minute, second]) = (parts(date, '-')?, parts(time, ':')?);
    if fraction.len() > 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    let whole = Civil { year, month, day, hour, minute, second }.at()?;
    Some(Micros(whole.0.saturating_add(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Invented, in the form of the data set.
    const FIXTURE: &str = "index,Login Timestamp,User ID,Round-Trip Time [ms],IP Address,Country,Region,City,ASN,User Agent String,Browser Name and Version,OS Name and Version,Device Type,Login Successful,Is Attack IP,Is Account Takeover
0,2020-02-03 12:43:30.772,-4324475583306591935,,192.0.2.10,NO,-,-,64500,\"Mozilla/5.0 (iPhone; CPU iPhone OS 13_4 like Mac OS X), of nobody\",Mobile Safari 13.1,iOS 13.4,mobile,False,False,False
1,2020-02-03 12:43:43.549,-3065936140549856249,610,198.51.100.7,AU,New South Wales,Sydney,500001,Mozilla/5.0 (X11; Linux x86_64) Firefox/72.0,Firefox 72.0,Linux,desktop,True,False,False
2,2020-02-04 00:00:00,5932501938287412049,,2001:db8::1,-,,,64501,curl/7.68.0,curl 7.68,Other,,True,True,True
";

    #[test]
    fn its_rows_are_read() {
        let rows: Vec<Row> = Rows::new(FIXTURE.as_bytes()).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].at.rfc3339(), "2020-02-03T12:43:30.772000Z");
        assert!(rows[0].user == SINK_USER && !rows[0].is_successful && rows[0].agent.ends_with("of nobody"));
        assert_eq!((rows[1].city.as_str(), rows[1].network, rows[1].country), ("Sydney", 500_001, Country::parse("AU")));
        assert!(rows[2].is_attack_address && rows[2].is_takeover && rows[2].country.is_none() && rows[2].device.is_empty());
    }

    #[test]
    fn what_is_no_row_is_refused_with_its_line() {
        assert!(Rows::new("a,b\n1,2\n".as_bytes()).is_err_and(|problem| problem.contains("Login Timestamp")));
        let broken = FIXTURE.replace("192.0.2.10", "nowhere").replace("72.0,Linux,desktop,True", "72.0,Linux,desktop,Maybe");
        let problems: Vec<String> = Rows::new(broken.as_bytes()).unwrap().filter_map(Result::err).collect();
        assert!(problems.len() == 2 && problems[0].contains("line 2") && problems[1].contains("`Maybe`"), "{problems:?}");
        assert_eq!(moment("2020-02-30 12:00:00"), None);
        assert_eq!(moment("2020-02-03 12:00"), None);
    }
}

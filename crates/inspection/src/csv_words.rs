//! How CSV files are written, as the options of commands that take data say it.

use clap::Args;

use crate::{CsvDialect, Delimiter};

/// How CSV files are written; what is not said is found out.
#[derive(Args, Clone, Copy, Debug)]
pub struct CsvWords {
    /// The first record of a CSV file names the columns; otherwise that is found out.
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// The first record of a CSV file is a row, and the columns are called `column_1`, `column_2` and so on.
    #[arg(long)]
    no_header: bool,
    /// What parts the fields of CSV files: a character, `tab` or `space`; otherwise that is found out.
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<Delimiter>,
}

impl CsvWords {
    /// What they say.
    #[must_use]
    pub fn dialect(&self) -> CsvDialect {
        CsvDialect::of_options(self.header, self.no_header, self.delimiter)
    }

    /// The same for a worker's command line.
    #[must_use]
    pub fn for_worker(&self) -> Vec<String> {
        let header = self.header.then(|| "--header".to_owned());
        let no_header = self.no_header.then(|| "--no-header".to_owned());
        let delimiter = self.delimiter.map(|delimiter| format!("--delimiter={}", char::from(delimiter)));
        header.into_iter().chain(no_header).chain(delimiter).collect()
    }
}

//! Writes the seeded table of `cargo xtask bench profile`: ten columns of the kinds that training data has.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const BATCH_ROW_COUNT: u64 = 65_536;
const GROUP_ROW_COUNT: usize = 1 << 20;
const SEED: u64 = 20_261_125;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn even(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// By the sum of twelve even ones.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }

    const fn below(&mut self, end: u64) -> u64 {
        self.word() % end
    }

    fn chance(&mut self, share: f64) -> bool {
        self.even() < share
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (path, count) = words.next().zip(words.next()).ok_or("usage: make_table FILE ROWS")?;
    let count: u64 = count.parse()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(GROUP_ROW_COUNT))
        .build();
    let mut random = Random(SEED);
    let first = batch(&mut random, 0, BATCH_ROW_COUNT.min(count))?;
    let mut writer = ArrowWriter::try_new(File::create(&path)?, first.schema(), Some(properties))?;
    writer.write(&first)?;
    let mut row = BATCH_ROW_COUNT;
    while row < count {
        writer.write(&batch(&mut random, row, BATCH_ROW_COUNT.min(count - row))?)?;
        row += BATCH_ROW_COUNT;
    }
    writer.close()?;
    Ok(())
}

fn batch(random: &mut Random, first: u64, count: u64) -> Result<RecordBatch, Box<dyn Error>> {
    let rows = || first..first + count;
    let id = rows().map(|row| 1_000_000 + row.cast_signed());
    let customer = rows().map(|_| random.below(1_000_000).cast_signed()).collect::<Vec<_>>();
    let age = rows().map(|_| (random.chance(0.98)).then_some((38.0 + 12.0 * random.normal()).clamp(18.0, 95.0) as i32)).collect();
    let income = rows().map(|_| random.chance(0.95).then_some((10.3 + 0.6 * random.normal()).exp())).collect();
    let score = rows().map(|_| if random.chance(0.999) { random.even() as f32 } else { f32::NAN }).collect::<Vec<_>>();
    let amount = rows().map(|_| (random.even() * 100_000.0).round() / 100.0).collect::<Vec<_>>();
    let country = rows().map(|_| COUNTRIES.get((random.even().powi(2) * COUNTRIES.len() as f64) as usize).copied());
    let country = country.collect::<Vec<_>>();
    let signed_up =
        rows().map(|row| 1_600_000_000_000_000 + row.cast_signed() * 13_000_000 + random.below(60_000_000).cast_signed());
    let signed_up = signed_up.collect::<Vec<_>>();
    let active = rows().map(|_| random.chance(0.97).then_some(random.chance(0.7))).collect();
    let mail = rows().map(|_| format!("user{}@example{}.org", random.below(3_000_000), random.below(50)));
    let mail = mail.collect::<Vec<_>>();
    let columns: [(&str, ArrayRef); 10] = [
        ("id", Arc::new(Int64Array::from_iter_values(id))),
        ("customer", Arc::new(Int64Array::from(customer))),
        ("age", Arc::<Int32Array>::new(age)),
        ("income", Arc::<Float64Array>::new(income)),
        ("score", Arc::new(Float32Array::from(score))),
        ("amount", Arc::new(Float64Array::from(amount))),
        ("country", Arc::new(StringArray::from(country))),
        ("signed_up", Arc::new(TimestampMicrosecondArray::from(signed_up))),
        ("active", Arc::<BooleanArray>::new(active)),
        ("mail", Arc::new(StringArray::from(mail))),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))?)
}

const COUNTRIES: [&str; 40] = [
    "AT", "AU", "BE", "BG", "BR", "CA", "CH", "CL", "CN", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HU", "IE", "IL",
    "IN", "IS", "IT", "JP", "KR", "LT", "LU", "LV", "MX", "NL", "NO", "NZ", "PL", "PT", "RO", "SE", "SG", "TR", "US",
];

//! Values on their way into and out of SQL, the same for both engines.

use super::DbError;

/// One bound value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bind<'a> {
    /// NULL
    Null,
    /// BIGINT, and SMALLINT for 0/1.
    Int(i64),
    /// DOUBLE PRECISION
    Real(f64),
    /// TEXT
    Text(&'a str),
    /// BLOB or BYTEA
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Bind<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Bind<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Bind<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Bind<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(i64::from(flag))
    }
}

impl From<f64> for Bind<'_> {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl<'a> From<&'a [u8]> for Bind<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Bind<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a, T> From<Option<T>> for Bind<'a>
where
    T: Into<Bind<'a>>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a> From<&'a Option<String>> for Bind<'a> {
    fn from(value: &'a Option<String>) -> Self {
        value.as_deref().map_or(Self::Null, Self::Text)
    }
}

/// One row of a result. Columns are counted from 0.
pub enum Row<'a> {
    /// Of SQLite.
    Sqlite(&'a rusqlite::Row<'a>),
    /// Of PostgreSQL.
    Postgres(&'a postgres::Row),
}

impl Row<'_> {
    /// A whole number of any width.
    ///
    /// # Errors
    /// [`DbError::Shape`] if the column is NULL or of another type.
    pub fn int(&self, column: usize) -> Result<i64, DbError> {
        self.opt_int(column)?.ok_or(DbError::Shape(column))
    }

    /// A whole number or NULL.
    ///
    /// # Errors
    /// [`DbError::Shape`] if the column is of another type.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, DbError> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(|_| DbError::Shape(column)),
            Self::Postgres(row) => {
                if let Ok(value) = row.try_get::<_, Option<i64>>(column) {
                    return Ok(value);
                }
                if let Ok(value) = row.try_get::<_, Option<i32>>(column) {
                    return Ok(value.map(i64::from));
                }
                row.try_get::<_, Option<i16>>(column).map(|v| v.map(i64::from)).map_err(|_| DbError::Shape(column))
            }
        }
    }

    /// A flag kept as 0 or 1.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn flag(&self, column: usize) -> Result<bool, DbError> {
        Ok(self.int(column)? != 0)
    }

    /// A float.
    ///
    /// # Errors
    /// [`DbError::Shape`] if the column is NULL or of another type.
    pub fn real(&self, column: usize) -> Result<f64, DbError> {
        self.opt_real(column)?.ok_or(DbError::Shape(column))
    }

    /// A float or NULL.
    ///
    /// # Errors
    /// [`DbError::Shape`] if the column is of another type.
    pub fn opt_real(&self, column: usize) -> Result<Option<f64>, DbError> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(|_| DbError::Shape(column)),
            Self::Postgres(row) => row.try_get(column).map_err(|_| DbError::Shape(column)),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// [`DbError::Shape`] if the column is NULL or of another type.
    pub fn text(&self, column: usize) -> Result<String, DbError> {
        self.opt_text(column)?.ok_or(DbError::Shape(column))
    }

    /// A text or NULL.
    ///
    /// # Errors
    /// [`DbError::Shape`] if the column is of another type.
    pub fn opt_text(&self, column: usize) -> Result<Option<String>, DbError> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(|_| DbError::Shape(column)),
            Self::Postgres(row) => row.try_get(column).map_err(|_| DbError::Shape(column)),
        }
    }

    /// Bytes.
    ///
    /// # Errors
    /// [`DbError::Shape`] if the column is NULL or of another type.
    pub fn bytes(&self, column: usize) -> Result<Vec<u8>, DbError> {
        self.opt_bytes(column)?.ok_or(DbError::Shape(column))
    }

    /// Bytes or NULL.
    ///
    /// # Errors
    /// [`DbError::Shape`] if the column is of another type.
    pub fn opt_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, DbError> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(|_| DbError::Shape(column)),
            Self::Postgres(row) => row.try_get(column).map_err(|_| DbError::Shape(column)),
        }
    }
}

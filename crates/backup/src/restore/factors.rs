//! What a person shows beside a password: in what is restored it is what it was in the old database. A factor that was taken away since does
//! not open the account again, a code that was used does not count again, and nobody is left without the factor that took its place.

use std::collections::HashSet;

use kernel::Problem;
use vault::db::{Bind, Reader, Writer};

/// What the old database holds of factors, and who is whom at a provider.
#[derive(Clone, Debug, Default)]
pub(super) struct OldFactors {
    totp: Vec<Totp>,
    codes: Vec<Code>,
    passkeys: Vec<Passkey>,
    links: HashSet<[String; 3]>,
}

/// Whose, the sealed secret, when it was made and confirmed, and the last step that was used.
#[derive(Clone, Debug)]
struct Totp {
    principal: String,
    sealed: Vec<u8>,
    created_at: i64,
    confirmed_at: Option<i64>,
    last_step: i64,
}

#[derive(Clone, Debug)]
struct Code {
    principal: String,
    sha256: Vec<u8>,
    created_at: i64,
    used_at: Option<i64>,
}

#[derive(Clone, Debug)]
struct Passkey {
    id: String,
    principal: String,
    credential: Vec<u8>,
    host: String,
    public_key: Vec<u8>,
    sign_count: i64,
    backed_up: bool,
    label: String,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl OldFactors {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        Ok(Self { totp: totp(reader)?, codes: codes(reader)?, passkeys: passkeys(reader)?, links: links(reader)? })
    }

    /// Gives how many factors and links were taken away.
    pub(super) fn replay(&self, writer: &mut Writer<'_>) -> Result<u64, Problem> {
        let mut gone_count = 0_u64;
        for link in links(writer)?.difference(&self.links) {
            let [issuer, subject, principal] = link;
            let sql = "DELETE FROM federated WHERE issuer = $1 AND subject = $2 AND principal_id = $3";
            gone_count += writer.execute(sql, &[issuer.into(), subject.into(), principal.into()])?;
        }
        let (before, there) = (Self::read(writer)?, people(writer)?);
        gone_count += before.names().difference(&self.names()).count() as u64;
        for table in ["totp", "recovery_code", "passkey"] {
            writer.execute(&format!("DELETE FROM {table}"), &[])?;
        }
        for one in self.totp.iter().filter(|one| there.contains(&one.principal)) {
            let sql = "INSERT INTO totp (principal_id, sealed, created_at, confirmed_at, last_step) VALUES ($1, $2, $3, $4, $5)";
            let binds: [Bind<'_>; 5] = [
                (&one.principal).into(),
                (&one.sealed).into(),
                one.created_at.into(),
                one.confirmed_at.into(),
                one.last_step.into(),
            ];
            writer.execute(sql, &binds)?;
        }
        for one in self.codes.iter().filter(|one| there.contains(&one.principal)) {
            let sql = "INSERT INTO recovery_code (principal_id, sha256, created_at, used_at) VALUES ($1, $2, $3, $4)";
            let binds: [Bind<'_>; 4] = [(&one.principal).into(), (&one.sha256).into(), one.created_at.into(), one.used_at.into()];
            writer.execute(sql, &binds)?;
        }
        for one in self.passkeys.iter().filter(|one| there.contains(&one.principal)) {
            one.put(writer)?;
        }
        Ok(gone_count)
    }

    /// What tells one factor from another.
    fn names(&self) -> HashSet<(&'static str, &str, &[u8])> {
        let passkeys = self.passkeys.iter().map(|one| ("passkey", one.principal.as_str(), one.credential.as_slice()));
        let secrets = self.totp.iter().map(|one| ("totp", one.principal.as_str(), one.sealed.as_slice()));
        passkeys.chain(secrets).collect()
    }
}

impl Passkey {
    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Problem> {
        let sql =
            "INSERT INTO passkey (id, principal_id, credential_id, host, public_key, sign_count, backed_up, label, created_at,
                       last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let binds: [Bind<'_>; 10] = [
            (&self.id).into(),
            (&self.principal).into(),
            (&self.credential).into(),
            (&self.host).into(),
            (&self.public_key).into(),
            self.sign_count.into(),
            self.backed_up.into(),
            (&self.label).into(),
            self.created_at.into(),
            self.last_used_at.into(),
        ];
        writer.execute(sql, &binds)?;
        Ok(())
    }
}

fn people(reader: &mut Reader<'_>) -> Result<HashSet<String>, Problem> {
    Ok(reader.query("SELECT id FROM principal", &[], |row| row.text(0))?.into_iter().collect())
}

fn links(reader: &mut Reader<'_>) -> Result<HashSet<[String; 3]>, Problem> {
    let sql = "SELECT issuer, subject, principal_id FROM federated";
    Ok(reader.query(sql, &[], |row| Ok([row.text(0)?, row.text(1)?, row.text(2)?]))?.into_iter().collect())
}

fn totp(reader: &mut Reader<'_>) -> Result<Vec<Totp>, Problem> {
    let sql = "SELECT principal_id, sealed, created_at, confirmed_at, last_step FROM totp";
    Ok(reader.query(sql, &[], |row| {
        Ok(Totp {
            principal: row.text(0)?,
            sealed: row.bytes(1)?,
            created_at: row.int(2)?,
            confirmed_at: row.opt_int(3)?,
            last_step: row.int(4)?,
        })
    })?)
}

fn codes(reader: &mut Reader<'_>) -> Result<Vec<Code>, Problem> {
    let sql = "SELECT principal_id, sha256, created_at, used_at FROM recovery_code";
    Ok(reader.query(sql, &[], |row| {
        Ok(Code { principal: row.text(0)?, sha256: row.bytes(1)?, created_at: row.int(2)?, used_at: row.opt_int(3)? })
    })?)
}

fn passkeys(reader: &mut Reader<'_>) -> Result<Vec<Passkey>, Problem> {
    let sql = "SELECT id, principal_id, credential_id, host, public_key, sign_count, backed_up, label, created_at, last_used_at FROM passkey";
    Ok(reader.query(sql, &[], |row| {
        Ok(Passkey {
            id: row.text(0)?,
            principal: row.text(1)?,
            credential: row.bytes(2)?,
            host: row.text(3)?,
            public_key: row.bytes(4)?,
            sign_count: row.int(5)?,
            backed_up: row.flag(6)?,
            label: row.text(7)?,
            created_at: row.int(8)?,
            last_used_at: row.opt_int(9)?,
        })
    })?)
}

#[cfg(test)]
mod tests {
    use super::super::replay::{Old, replay};
    use super::super::testing::{pairs, texts};
    use super::*;
    use kernel::Micros;
    use vault::db::Location;

    /// A database with one person, who has what these statements give: `$1` stands for the bytes.
    async fn fill(at: &Location, bytes: &'static [u8], statements: &'static [&'static str]) {
        let opened = vault::db::open(at).unwrap();
        let fill = move |writer: &mut Writer<'_>| {
            let person = "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ('u', 'user', 'ada', '', 1)";
            writer.execute(person, &[])?;
            for sql in statements {
                let bind: [Bind<'_>; 1] = [bytes.into()];
                writer.execute(sql, if sql.contains("$1") { &bind } else { &[] })?;
            }
            Ok(())
        };
        opened.system.write(fill).await.unwrap();
    }

    #[test]
    fn a_factor_that_was_taken_away_stays_so_and_what_was_used_does_not_count_again() {
        for (engine, other, runtime) in pairs("replay_factors") {
            let (backup, old) = (&engine.location, &other.location);
            runtime.block_on(fill(
                backup,
                b"x",
                &[
                    "INSERT INTO passkey (id, principal_id, credential_id, host, public_key, sign_count, backed_up, label, created_at)
                     VALUES ('stolen', 'u', $1, 'h', $1, 1, 0, '', 1)",
                    "INSERT INTO totp (principal_id, sealed, created_at, confirmed_at, last_step) VALUES ('u', $1, 1, 1, 3)",
                    "INSERT INTO recovery_code (principal_id, sha256, created_at) VALUES ('u', $1, 1)",
                    "INSERT INTO federated (issuer, subject, principal_id, linked_at, linked_by) VALUES ('i', 's', 'u', 1, 'x')",
                ],
            ));
            runtime.block_on(fill(
                old,
                b"y",
                &[
                    "INSERT INTO passkey (id, principal_id, credential_id, host, public_key, sign_count, backed_up, label, created_at)
                     VALUES ('new', 'u', $1, 'h', $1, 1, 0, '', 1)",
                    "INSERT INTO totp (principal_id, sealed, created_at, confirmed_at, last_step) VALUES ('u', $1, 1, 1, 7)",
                    "INSERT INTO recovery_code (principal_id, sha256, created_at, used_at) VALUES ('u', $1, 1, 5)",
                ],
            ));
            let done = replay(backup, &Old::read(old).unwrap(), Micros(20)).unwrap();
            let words = |sql: &'static str| texts(backup, sql);
            let numbers = |sql: &'static str| backup.read(|reader| Ok(reader.query(sql, &[], |row| row.int(0))?)).unwrap();
            assert_eq!(words("SELECT id FROM passkey"), ["new"], "{}", engine.name);
            assert_eq!(numbers("SELECT last_step FROM totp"), [7]);
            assert_eq!(numbers("SELECT used_at FROM recovery_code"), [5]);
            assert!(words("SELECT issuer FROM federated").is_empty());
            assert_eq!(done.account_count, 3, "a passkey, a secret and a link");
        }
    }
}

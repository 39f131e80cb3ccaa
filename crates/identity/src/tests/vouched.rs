//! By which addresses an issuer may speak of its people.

use super::{World, worlds};
use crate::ops::federation::SettlePerson;
use crate::store;

const COMPANY: &str = "https://company.example";

impl World {
    /// Somebody logs in at an issuer, which vouches for this address.
    async fn logs_in(&self, issuer: &str, who: &str, address: Option<&str>) -> String {
        let settle = SettlePerson {
            room: self.room.clone(),
            issuer: issuer.to_owned(),
            subject: self.text(who),
            name: Some(self.text(who)),
            address: address.map(str::to_owned),
            ruled: Vec::new(),
            member: Vec::new(),
        };
        self.by_job(settle).await.unwrap()
    }

    /// Whom the company speaks of by an address.
    async fn spoken_of(&self, address: &str) -> Option<String> {
        let mark = self.room.inner.address_mark(COMPANY, address)?;
        self.opened.system.read(move |reader| Ok(store::linked_by_address(reader, COMPANY, &mark)?)).await.unwrap()
    }
}

#[tokio::test]
async fn an_issuer_speaks_by_the_address_that_it_vouched_for_last() {
    for world in worlds() {
        let ada = world.logs_in(COMPANY, "ada", Some("Ada@Company.Example")).await;
        assert_eq!(world.spoken_of("Ada@company.example").await, Some(ada.clone()));
        for other in
            ["ada@company.example", "Ada@company.example.evil", "Ada@", "@company.example", "Ada", "", "x@Ada@company.example"]
        {
            assert_eq!(world.spoken_of(other).await, None, "{other}");
        }
        let bob = world.logs_in("https://another.example", "bob", Some("bob@company.example")).await;
        assert_eq!(world.spoken_of("bob@company.example").await, None, "another issuer vouched for it");
        // Two with one address are nobody.
        let cyd = world.logs_in(COMPANY, "cyd", Some("Ada@company.example")).await;
        assert_eq!(world.spoken_of("Ada@company.example").await, None);
        world.logs_in(COMPANY, "ada", Some("ada@new.example")).await;
        assert_eq!(world.spoken_of("Ada@company.example").await, Some(cyd.clone()));
        assert_eq!(world.spoken_of("ada@new.example").await, Some(ada));
        world.logs_in(COMPANY, "cyd", None).await;
        assert_eq!(world.spoken_of("Ada@company.example").await, None, "it is not vouched for any more");
        assert!(bob != cyd);
    }
}

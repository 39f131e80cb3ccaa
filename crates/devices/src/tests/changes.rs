//! What changes around a device: what is required of it, and the fleet of its machine.

use super::*;
use crate::ops::fleets::{Adopt, CreateFleet, ListFleets};
use crate::ops::nodes::EnrolNode;

const DAY_S: i64 = 24 * HOUR_S;

#[tokio::test]
async fn what_was_reported_is_judged_by_what_is_required_now() {
    for mut world in worlds() {
        let (_, token) = world.person("ada").await;
        let agent = world.enrol(&token).await;
        let config = DevicesConfig { required: vec![Check::Firewall], ..DevicesConfig::default() };
        let lax = Devices::open(world.opened.db.clone(), config, (&Secret::new(vec![3; 32]), &Secret::new(vec![4; 32]))).unwrap();
        let strict = std::mem::replace(&mut world.room, lax.clone());
        let facts = Facts { firewall: Some(true), ..Facts::default() };
        for (room, failing) in [(&lax, 0), (&strict, 4)] {
            world.room = room.clone();
            assert_eq!(world.report(&agent, &facts).await.unwrap().len(), failing);
            for (now, tier) in [(&lax, 2), (&strict, 1)] {
                let port = DevicePort::new(world.opened.ports.clone(), now);
                let seen = port.device(&agent.certificate, kernel::Clock::now(&world.clock)).await.unwrap();
                assert_eq!(seen.map(|known| known.tier), Some(tier), "{failing} failed when it reported");
                let own = OwnDevices { room: now.clone(), device: Some(agent.id.clone()) };
                assert_eq!(world.by(&token, own).await.unwrap()[0].tier, tier);
            }
        }
    }
}

#[tokio::test]
async fn a_full_fleet_lets_known_machines_in_again_and_silent_ones_give_way() {
    for world in worlds() {
        let (_, token) = world.person("ada").await;
        let agent = world.enrol(&token).await;
        let create = CreateFleet { room: world.room.clone(), name: world.name("laptops").as_str().to_owned() };
        let (fleet, secret) = world.by(&token, create).await.unwrap();
        let enrol = async |host: &str| {
            let enrolled = world.by(&secret, EnrolNode { room: world.room.clone(), host: host.to_owned() }).await;
            enrolled.map(drop)
        };
        let node_count = async || world.by_job(ListFleets { room: world.room.clone() }).await.unwrap()[0].node_count;
        enrol("known").await.unwrap();
        let at = kernel::Clock::now(&world.clock);
        let fill = move |tx: &mut vault::db::Writer<'_>| {
            for number in 1..10_000 {
                let id = format!("nod_{number}");
                let key = kernel::sha256(id.as_bytes());
                tx.execute(
                    "INSERT INTO device_node (id, fleet_id, host, sha256, enrolled_at, seen_at) VALUES ($1, $2, $1, $3, $4, $4)",
                    &[id.as_str().into(), fleet.as_str().into(), key.as_slice().into(), at.0.into()],
                )?;
            }
            Ok(())
        };
        world.opened.system.write(fill).await.unwrap();
        assert_eq!(kind(enrol("new").await), Kind::TooMany);
        enrol("known").await.unwrap();
        let adopt = Adopt { room: world.room.clone(), device: agent.id.clone(), node: "nod_7".to_owned() };
        world.by_job(adopt).await.unwrap();
        world.clock.advance_secs(30 * DAY_S);
        enrol("known").await.unwrap();
        assert_eq!(kind(enrol("new").await), Kind::TooMany, "not yet");
        assert_eq!(node_count().await, 10_000);
        world.clock.advance_secs(1);
        enrol("new").await.unwrap();
        assert_eq!(node_count().await, 3, "who was heard of, who is new, and who says how a device is");
    }
}

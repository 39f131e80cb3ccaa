//! What changes around a device: what is required of it.

use super::*;

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

//! How far apart two countries are at least: the middle of each and how far it reaches from there, in whole degrees and rough kilometres.
//!
//! Kept coarse on purpose: of an address no more is known than its country, so a journey is called impossible only where even the nearest
//! corners lie too far apart. A country that is missing here has no place, and no journey to or from it is judged.

use crate::geo::Country;

const EARTH_RADIUS_KM: f64 = 6_371.0;

/// Letters, degrees north, degrees east, kilometres from there to the farthest corner.
type Place = (&'static str, i16, i16, u16);

/// In order of the letters.
#[rustfmt::skip]
const PLACES: [Place; 199] = [
    ("AD", 43, 2, 60), ("AE", 24, 54, 350), ("AF", 34, 66, 850), ("AL", 41, 20, 220), ("AM", 40, 45, 230),
    ("AO", -12, 18, 1000), ("AR", -35, -65, 2250), ("AT", 48, 14, 400), ("AU", -25, 134, 2300), ("AX", 60, 20, 60),
    ("AZ", 40, 48, 350), ("BA", 44, 18, 250), ("BB", 13, -60, 60), ("BD", 24, 90, 450), ("BE", 51, 5, 200),
    ("BF", 12, -2, 500), ("BG", 43, 25, 350), ("BH", 26, 50, 60), ("BI", -3, 30, 180), ("BJ", 9, 2, 400),
    ("BN", 5, 115, 120), ("BO", -17, -65, 1000), ("BR", -11, -53, 2900), ("BS", 24, -77, 500), ("BT", 27, 90, 220),
    ("BW", -22, 24, 700), ("BY", 54, 28, 400), ("BZ", 17, -89, 180), ("CA", 60, -96, 3200), ("CD", -3, 23, 1500),
    ("CF", 7, 21, 850), ("CG", -1, 15, 700), ("CH", 47, 8, 250), ("CI", 8, -6, 500), ("CL", -36, -71, 2600),
    ("CM", 6, 12, 800), ("CN", 36, 104, 2900), ("CO", 4, -73, 1100), ("CR", 10, -84, 280), ("CU", 22, -79, 700),
    ("CV", 16, -24, 220), ("CW", 12, -69, 60), ("CY", 35, 33, 150), ("CZ", 50, 15, 330), ("DE", 51, 10, 550),
    ("DJ", 12, 43, 150), ("DK", 56, 10, 350), ("DO", 19, -70, 250), ("DZ", 28, 3, 1350), ("EC", -1, -78, 1400),
    ("EE", 59, 26, 240), ("EG", 27, 30, 800), ("ER", 15, 39, 600), ("ES", 40, -4, 2000), ("ET", 9, 40, 900),
    ("FI", 65, 26, 650), ("FJ", -18, 178, 400), ("FO", 62, -7, 80), ("FR", 46, 2, 950), ("GA", -1, 12, 450),
    ("GB", 54, -2, 800), ("GE", 42, 43, 350), ("GF", 4, -53, 250), ("GG", 49, -3, 30), ("GH", 8, -1, 450),
    ("GI", 36, -5, 20), ("GL", 72, -40, 1500), ("GM", 13, -15, 220), ("GN", 10, -11, 500), ("GP", 16, -62, 60),
    ("GQ", 2, 10, 400), ("GR", 39, 22, 650), ("GT", 16, -90, 300), ("GU", 13, 145, 40), ("GW", 12, -15, 180),
    ("GY", 5, -59, 500), ("HK", 22, 114, 50), ("HN", 15, -87, 400), ("HR", 45, 16, 350), ("HT", 19, -73, 200),
    ("HU", 47, 19, 320), ("ID", -2, 118, 2700), ("IE", 53, -8, 300), ("IL", 31, 35, 280), ("IM", 54, -4, 40),
    ("IN", 22, 79, 1900), ("IQ", 33, 44, 650), ("IR", 32, 54, 1300), ("IS", 65, -19, 320), ("IT", 42, 13, 800),
    ("JE", 49, -2, 20), ("JM", 18, -77, 130), ("JO", 31, 37, 330), ("JP", 37, 138, 2000), ("KE", 1, 38, 650),
    ("KG", 41, 75, 550), ("KH", 13, 105, 330), ("KP", 40, 127, 400), ("KR", 36, 128, 400), ("KW", 29, 48, 130),
    ("KY", 19, -81, 150), ("KZ", 48, 67, 1700), ("LA", 18, 104, 650), ("LB", 34, 36, 130), ("LI", 47, 10, 20),
    ("LK", 8, 81, 260), ("LR", 6, -9, 330), ("LS", -30, 28, 150), ("LT", 55, 24, 240), ("LU", 50, 6, 60),
    ("LV", 57, 25, 280), ("LY", 27, 17, 1000), ("MA", 32, -6, 1300), ("MC", 44, 7, 10), ("MD", 47, 28, 220),
    ("ME", 43, 19, 120), ("MG", -19, 47, 850), ("MK", 42, 22, 130), ("ML", 18, -4, 1100), ("MM", 21, 96, 1200),
    ("MN", 47, 104, 1300), ("MO", 22, 114, 20), ("MQ", 15, -61, 40), ("MR", 20, -10, 900), ("MT", 36, 14, 30),
    ("MU", -20, 58, 600), ("MV", 3, 73, 500), ("MW", -13, 34, 500), ("MX", 23, -102, 1900), ("MY", 4, 109, 1150),
    ("MZ", -18, 35, 1150), ("NA", -22, 17, 850), ("NC", -21, 165, 350), ("NE", 17, 8, 950), ("NG", 9, 8, 750),
    ("NI", 13, -85, 330), ("NL", 52, 5, 220), ("NO", 65, 14, 1300), ("NP", 28, 84, 500), ("NZ", -42, 173, 1000),
    ("OM", 21, 56, 650), ("PA", 9, -80, 350), ("PE", -9, -75, 1250), ("PF", -15, -145, 1300), ("PG", -6, 145, 1200),
    ("PH", 12, 122, 1000), ("PK", 30, 69, 1050), ("PL", 52, 19, 450), ("PR", 18, -66, 120), ("PS", 32, 35, 120),
    ("PT", 39, -8, 1900), ("PY", -23, -58, 550), ("QA", 25, 51, 110), ("RE", -21, 56, 40), ("RO", 46, 25, 420),
    ("RS", 44, 21, 300), ("RU", 62, 96, 4500), ("RW", -2, 30, 150), ("SA", 24, 45, 1250), ("SB", -9, 160, 800),
    ("SC", -5, 55, 700), ("SD", 16, 30, 1100), ("SE", 62, 16, 900), ("SG", 1, 104, 40), ("SI", 46, 15, 150),
    ("SK", 49, 19, 230), ("SL", 9, -12, 200), ("SM", 44, 12, 10), ("SN", 14, -14, 400), ("SO", 6, 46, 1000),
    ("SR", 4, -56, 300), ("SV", 14, -89, 150), ("SY", 35, 38, 450), ("SZ", -27, 31, 110), ("TD", 15, 19, 950),
    ("TG", 9, 1, 320), ("TH", 15, 101, 950), ("TJ", 39, 71, 400), ("TL", -9, 126, 180), ("TM", 39, 59, 600),
    ("TN", 34, 9, 420), ("TR", 39, 35, 850), ("TT", 10, -61, 90), ("TW", 24, 121, 300), ("TZ", -6, 35, 750),
    ("UA", 49, 31, 750), ("UG", 1, 32, 400), ("US", 40, -98, 2400), ("UY", -33, -56, 320), ("UZ", 42, 63, 800),
    ("VE", 7, -66, 850), ("VN", 16, 107, 950), ("VU", -16, 167, 450), ("WS", -14, -172, 80), ("XK", 43, 21, 90),
    ("YE", 16, 48, 700), ("ZA", -29, 25, 950), ("ZM", -14, 28, 750), ("ZW", -19, 30, 450),
];
/// Countries of which too little is written above, or that lie too far apart in themselves, have no place; so have these on purpose:
/// satellites and carriers announce them for customers everywhere.
const NOWHERE: [&str; 2] = ["AP", "EU"];

fn place(country: Country) -> Option<Place> {
    if NOWHERE.contains(&country.text()) {
        return None;
    }
    let at = PLACES.binary_search_by(|place| place.0.cmp(country.text())).ok()?;
    PLACES.get(at).copied()
}

/// The fewest kilometres that somebody has come who was in the one and is in the other; none where that cannot be told.
#[must_use]
pub fn apart_km(one: Country, other: Country) -> Option<f64> {
    if one == other {
        return Some(0.0);
    }
    let (one, other) = (place(one)?, place(other)?);
    let middle = great_circle_km((f64::from(one.1), f64::from(one.2)), (f64::from(other.1), f64::from(other.2)));
    Some((middle - f64::from(one.3) - f64::from(other.3)).max(0.0))
}

/// The great circle between two points, in degrees north and east (haversine formula).
fn great_circle_km(one: (f64, f64), other: (f64, f64)) -> f64 {
    let half_sine = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let cosines = one.0.to_radians().cos() * other.0.to_radians().cos();
    let chord = half_sine(other.0 - one.0) + cosines * half_sine(other.1 - one.1);
    2.0 * EARTH_RADIUS_KM * chord.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(one: &str, other: &str) -> Option<f64> {
        apart_km(Country::parse(one).unwrap(), Country::parse(other).unwrap())
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(PLACES.is_sorted_by(|one, other| one.0 < other.0));
        assert!(PLACES.iter().all(|place| place.1.abs() <= 90 && place.2.abs() <= 180));
    }

    #[test]
    fn neighbours_touch_and_continents_do_not() {
        assert_eq!(apart("NO", "NO"), Some(0.0));
        assert_eq!(apart("NO", "SE"), Some(0.0));
        assert_eq!(apart("DE", "FR"), Some(0.0));
        let sydney = apart("DE", "AU").unwrap();
        assert!((10_000.0..13_000.0).contains(&sydney), "{sydney}");
        assert!((4_000.0..7_500.0).contains(&apart("DE", "JP").unwrap()));
        assert_eq!(apart("DE", "EU"), None);
        assert_eq!(apart("DE", "AQ"), None);
        assert!((great_circle_km((51.5, -0.1), (40.7, -74.0)) - 5_570.0).abs() < 20.0);
    }
}

//! The rules that come with this program.

/// Their files: name and text.
pub(super) const FILES: [(&str, &str); 6] = [
    ("log_in.yml", include_str!("../../../../policies/detections/log_in.yml")),
    ("accounts.yml", include_str!("../../../../policies/detections/accounts.yml")),
    ("power.yml", include_str!("../../../../policies/detections/power.yml")),
    ("data.yml", include_str!("../../../../policies/detections/data.yml")),
    ("models.yml", include_str!("../../../../policies/detections/models.yml")),
    ("safeguards.yml", include_str!("../../../../policies/detections/safeguards.yml")),
];

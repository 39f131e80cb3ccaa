//! The technical documentation of Regulation (EU) 2024/1689, Annex IV, as far as a record knows it: the nine points in their order.
//! It helps a provider to write that documentation; it does not say that a system conforms.

use super::card::not_known;
use super::document::{Block, Document, Section, declared};
use super::facts::{self, instant};
use super::html::html;
use crate::record::ModelRecord;

/// The dossier as one self-contained page.
#[must_use]
pub fn dossier_html(record: &ModelRecord) -> String {
    let model = &record.model;
    let subtitle = format!(
        "Technical documentation in the order of Annex IV of Regulation (EU) 2024/1689, made from the record of {} {} at {}. \
         “Observed” was seen by the server itself; “claimed” was told by a client. People are pseudonyms. What is not known is said; \
         this paper is no declaration of conformity.",
        record.generator.name,
        record.generator.version,
        instant(record.generated_at)
    );
    let sections = vec![
        general(record),
        development(record),
        validation(record),
        security(record),
        control(record),
        Section::new(
            "4. Appropriateness of the performance metrics",
            vec![declared(record.declared.metric_choice.as_ref(), "Say why these metrics fit the purpose.")],
        ),
        Section::new(
            "5. Risk management system",
            vec![declared(record.declared.risk_management.as_ref(), "Describe the system that Article 9 asks for.")],
        ),
        Section::new("6. Changes through the lifecycle", vec![facts::approvals(record)]),
        Section::new(
            "7. Standards applied",
            vec![declared(
                record.declared.standards.as_ref(),
                "List harmonised standards, or how the requirements are met without.",
            )],
        ),
        Section::new(
            "8. EU declaration of conformity",
            vec![declared(record.declared.conformity.as_ref(), "Attach the declaration that Article 47 asks for.")],
        ),
        Section::new(
            "9. Plan after placing on the market",
            vec![declared(record.declared.post_market.as_ref(), "Describe the monitoring plan that Article 72(3) asks for.")],
        ),
        Section::new("What is not known", vec![not_known(record)]),
    ];
    html(&Document { title: format!("Technical documentation: {} version {}", model.name, model.version), subtitle, sections })
}

fn heading(text: &str) -> Block {
    Block::Heading(text.to_owned())
}

fn general(record: &ModelRecord) -> Section {
    let said = &record.declared;
    let blocks = vec![
        heading("Intended purpose, provider, version"),
        facts::model(record),
        declared(said.intended_purpose.as_ref(), "Say what the system is for, and for whom."),
        heading("Interaction with other systems, and forms of delivery"),
        declared(said.interaction.as_ref(), "Say with which hardware and software it interacts, and how it is delivered."),
        heading("Software versions"),
        facts::environment(record),
        heading("Hardware"),
        declared(said.hardware.as_ref(), "Say on which hardware it is meant to run."),
        heading("Instructions for use"),
        declared(said.instructions.as_ref(), "Give the instructions and describe the interface for deployers."),
        heading("Files"),
        facts::files(record),
    ];
    Section::new("1. General description", blocks)
}

fn development(record: &ModelRecord) -> Section {
    let said = &record.declared;
    let blocks = vec![
        heading("(a) Methods and steps of development, and models it was made from"),
        facts::run(record),
        facts::code(record),
        facts::base_models(record),
        heading("(b), (c) Design choices and architecture"),
        declared(said.design.as_ref(), "Describe the design, its assumptions, what it optimises for and the resources used."),
        facts::params(record),
        heading("(d) Data"),
        facts::data(record),
        declared(said.data_practices.as_ref(), "Say how data was obtained, selected, labelled and cleaned."),
        heading("(e) Human oversight"),
        declared(said.human_oversight.as_ref(), "Say how people understand and oversee its output (Article 14)."),
        heading("(f) Changes planned beforehand"),
        declared(said.planned_changes.as_ref(), "Say which changes are planned, and how the system stays compliant."),
    ];
    Section::new("2. Elements and development", blocks)
}

fn validation(record: &ModelRecord) -> Section {
    let blocks = vec![facts::metrics(record), heading("Tests"), facts::tests(record)];
    Section::new("2 (g). Validation and testing", blocks)
}

fn security(record: &ModelRecord) -> Section {
    let blocks = vec![
        heading("Scan of its files"),
        facts::scans(record),
        heading("Simulated attacks"),
        facts::attacks(record),
        heading("Signatures"),
        facts::signatures(record),
    ];
    Section::new("2 (h). Cybersecurity", blocks)
}

fn control(record: &ModelRecord) -> Section {
    let said = &record.declared;
    let blocks = vec![
        declared(said.monitoring.as_ref(), "Describe how it is monitored and controlled, and its input data specifications."),
        heading("Limits of performance, and foreseeable harm"),
        declared(said.limitations.as_ref(), "Name the limits, also for specific groups of persons."),
        declared(said.out_of_scope.as_ref(), "Name uses that are out of scope."),
        declared(said.ethics.as_ref(), "Name risks to health, safety and fundamental rights."),
    ];
    Section::new("3. Monitoring, functioning and control", blocks)
}

//! Says what is thought of a trace: feedback, expectations, issues.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;
use serde_json::{Map, Value};

use crate::store::assessments;
use crate::types::{Assessment, AssessmentChange, NewAssessment, Pair};
use crate::{Traces, limits, rules};

fn no_assessment(assessment_id: &str, trace_id: &str) -> Problem {
    Problem::not_found(format!("Assessment with ID '{assessment_id}' not found for trace '{trace_id}'"))
}

/// Keeps an assessment. The one that it overrides holds no longer.
pub struct CreateAssessment {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
    /// The assessment.
    pub assessment: NewAssessment,
}

impl Operation for CreateAssessment {
    const ACTION: Action = super::TRACES_ASSESS;
    type Output = Assessment;

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Assessment, Problem> {
        // Its id is made here: one that a client chose could replace another's assessment.
        let new = NewAssessment { assessment_id: None, ..self.assessment };
        rules::new_assessment(&new)?;
        let row = super::trace_row(&permit, &self.trace_id)?;
        let (trace_id, at, id) = (self.trace_id, permit.entry().at, super::record_id(&permit));
        let by = permit.caller().id.clone();
        self.room
            .db
            .write(&permit, move |tx| {
                super::hold(tx, row, &trace_id, at)?;
                if let Some(overridden) = &new.overrides
                    && !assessments::set_valid(tx, row, overridden, false)?
                {
                    return Err(no_assessment(overridden, &trace_id));
                }
                let assessment = super::create::made(new, at);
                assessments::put(tx, row, &assessment, &by)?;
                if assessments::count(tx, row)? > limits::ASSESSMENT_COUNT_MAX {
                    return Err(super::create::too_many_assessments());
                }
                let outcome = Outcome::done().resource(id).with("assessment", assessment.assessment_id.clone());
                Ok((assessment, outcome))
            })
            .await
    }
}

/// Reads an assessment.
pub struct GetAssessment {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
    /// The assessment.
    pub assessment_id: String,
}

impl Operation for GetAssessment {
    const ACTION: Action = super::TRACES_GET;
    type Output = Assessment;

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Assessment, Problem> {
        let row = super::trace_row(&permit, &self.trace_id)?;
        rules::no_nul("assessment_id", &self.assessment_id)?;
        let Self { room, trace_id, assessment_id } = self;
        room.db
            .read_point(&permit, move |reader| {
                assessments::get(reader, row, &assessment_id)?.ok_or_else(|| no_assessment(&assessment_id, &trace_id))
            })
            .await
    }
}

/// Changes what is given of an assessment.
pub struct UpdateAssessment {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
    /// The assessment.
    pub assessment_id: String,
    /// What is to be changed.
    pub change: AssessmentChange,
}

impl Operation for UpdateAssessment {
    const ACTION: Action = super::TRACES_ASSESS;
    type Output = Assessment;

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Assessment, Problem> {
        let row = super::trace_row(&permit, &self.trace_id)?;
        rules::no_nul("assessment_id", &self.assessment_id)?;
        let Self { room, trace_id, assessment_id, change } = self;
        let (at, id, by) = (permit.entry().at, super::record_id(&permit), permit.caller().id.clone());
        room.db
            .write(&permit, move |tx| {
                super::hold(tx, row, &trace_id, at)?;
                let before =
                    assessments::get(tx, row, &assessment_id)?.ok_or_else(|| no_assessment(&assessment_id, &trace_id))?;
                let mut after = changed(before, change)?;
                after.updated_ms = at.as_millis();
                assessments::put(tx, row, &after, &by)?;
                Ok((after, Outcome::done().resource(id).with("assessment", assessment_id)))
            })
            .await
    }
}

fn changed(mut assessment: Assessment, change: AssessmentChange) -> Result<Assessment, Problem> {
    if let Some(name) = change.name {
        rules::assessment_name(&name)?;
        assessment.name = name;
    }
    if let Some((kind, value, error)) = change.value {
        if let Some(kind) = kind.filter(|kind| *kind != assessment.kind) {
            let (new, is) = (kind.word(), capital(assessment.kind.word()));
            return Err(Problem::invalid(format!("Cannot update {new} value on a {is} assessment.")));
        }
        rules::assessment_text(&value)?;
        error.iter().try_for_each(|error| rules::assessment_text(error))?;
        (assessment.value, assessment.error) = (value, error);
    }
    if let Some(rationale) = change.rationale {
        rules::assessment_text(&rationale)?;
        assessment.rationale = Some(rationale);
    }
    if !change.metadata.is_empty() {
        let text = merged(assessment.metadata.as_deref(), change.metadata);
        rules::assessment_text(&text)?;
        assessment.metadata = Some(text);
    }
    Ok(assessment)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn merged(before: Option<&str>, entries: Vec<Pair>) -> String {
    let mut all = match before.map(serde_json::from_str) {
        Some(Ok(Value::Object(map))) => map,
        _ => Map::new(),
    };
    all.extend(entries.into_iter().map(|(key, value)| (key, Value::String(value))));
    Value::Object(all).to_string()
}

/// Removes an assessment. The one that it overrode holds again. What is not there is removed already.
pub struct DeleteAssessment {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
    /// The assessment.
    pub assessment_id: String,
}

impl Operation for DeleteAssessment {
    const ACTION: Action = super::TRACES_ASSESS;
    type Output = ();

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let row = super::trace_row(&permit, &self.trace_id)?;
        rules::no_nul("assessment_id", &self.assessment_id)?;
        let Self { room, trace_id, assessment_id } = self;
        let (at, id) = (permit.entry().at, super::record_id(&permit));
        room.db
            .write(&permit, move |tx| {
                super::hold(tx, row, &trace_id, at)?;
                let found = assessments::get(tx, row, &assessment_id)?;
                let removed = found.is_some();
                if let Some(found) = found {
                    assessments::delete(tx, row, &assessment_id)?;
                    if let Some(overridden) = found.overrides {
                        assessments::set_valid(tx, row, &overridden, true)?;
                    }
                }
                Ok(((), Outcome::done().resource(id).with("assessments", usize::from(removed))))
            })
            .await
    }
}

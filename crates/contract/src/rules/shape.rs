//! What is inside of arrays, as far as it is checked: types, objects, arrays again, and what may not be null.

use crate::model::{LogicalType, Options, Property};

/// What a value inside of an array must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) logical: Option<LogicalType>,
    /// How a date or a time is written.
    pub(crate) format: Option<String>,
    pub(crate) timezone: Option<bool>,
    /// It is not null; of a field, that it is there.
    pub(crate) required: bool,
    pub(crate) fields: Vec<(String, Shape)>,
    pub(crate) items: Option<Box<Shape>>,
}

impl Shape {
    /// An array of these; none if they demand nothing that is checked here.
    pub(crate) fn array_of(items: &Property) -> Option<Self> {
        let items = Self::of(items);
        (items != Self::default()).then(|| Self { items: Some(Box::new(items)), ..Self::default() })
    }

    fn of(property: &Property) -> Self {
        let options = property.logical_type_options.as_ref();
        Self {
            logical: property.logical_type,
            format: options.and_then(|options| options.format.clone()).filter(|_| is_timed(property)),
            timezone: options.and_then(|options| options.timezone),
            required: property.required == Some(true),
            fields: property.properties.iter().map(|field| (field.stored_name().to_owned(), Self::of(field))).collect(),
            items: property.items.as_ref().map(|items| Box::new(Self::of(items))),
        }
    }
}

/// Whether a property inside of an array, or anything inside of it, demands what is not checked there.
pub(super) fn demands_more(property: &Property) -> bool {
    let more = property.logical_type_options.as_ref().is_some_and(|options| {
        let format = options.format.clone().filter(|_| !is_timed(property));
        let rest = Options { format, timezone: None, other: Default::default(), ..options.clone() };
        rest != Options::default()
    });
    let inner = property.properties.iter().chain(property.items.as_deref());
    more || property.unique == Some(true)
        || property.primary_key == Some(true)
        || !property.quality.is_empty()
        || !property.relationships.is_empty()
        || inner.into_iter().any(demands_more)
}

/// The format of a number or a text is about its values, that of a time about how it is written.
pub(super) const fn is_timed(property: &Property) -> bool {
    matches!(property.logical_type, Some(LogicalType::Date | LogicalType::Timestamp | LogicalType::Time))
}

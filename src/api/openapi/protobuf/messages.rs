//! The messages, with the numbers of their fields in gnostic's `.proto` files.

use super::Holds::{Each, Flag, Named, One, OrReference, Placed, Text, Within};
use super::{Holds, Message};

const TEXTS: Holds = Each(&Text);

/// `openapi.v2.Document`
pub(super) static V2: Message = Message {
    fields: &[
        (1, "swagger", Text),
        (
            2,
            "info",
            One(&Message {
                fields: &[(1, "title", Text), (2, "version", Text)],
                extensions: 7,
            }),
        ),
        (8, "paths", Within(2, &Named(&One(&V2_PATH_ITEM)))),
        (9, "definitions", Within(1, &Named(&One(&V2_SCHEMA)))),
        (10, "parameters", Within(1, &Named(&V2_PARAMETER))),
    ],
    extensions: 16,
};

static V2_PATH_ITEM: Message = Message {
    fields: &[
        (2, "get", One(&V2_OPERATION)),
        (9, "parameters", Each(&OrReference(&V2_PARAMETER))),
    ],
    extensions: 10,
};

static V2_OPERATION: Message = Message {
    fields: &[
        (1, "tags", TEXTS),
        (3, "description", Text),
        (5, "operationId", Text),
        (6, "produces", TEXTS),
        (7, "consumes", TEXTS),
        (
            9,
            "responses",
            Within(1, &Named(&Within(1, &One(&V2_RESPONSE)))),
        ),
        (10, "schemes", TEXTS),
    ],
    extensions: 13,
};

static V2_RESPONSE: Message = Message {
    fields: &[
        (1, "description", Text),
        (2, "schema", Within(1, &One(&V2_SCHEMA))),
    ],
    extensions: 5,
};

/// `NonBodyParameter` in a `Parameter`.
const V2_PARAMETER: Holds = Placed {
    query: &Message {
        fields: &[
            (1, "required", Flag),
            (2, "in", Text),
            (3, "description", Text),
            (4, "name", Text),
            (6, "type", Text),
            (20, "uniqueItems", Flag),
        ],
        extensions: 23,
    },
    path: &Message {
        fields: &[
            (1, "required", Flag),
            (2, "in", Text),
            (3, "description", Text),
            (4, "name", Text),
            (5, "type", Text),
            (19, "uniqueItems", Flag),
        ],
        extensions: 22,
    },
};

static V2_SCHEMA: Message = Message {
    fields: &[
        (1, "$ref", Text),
        (2, "format", Text),
        (4, "description", Text),
        (19, "required", TEXTS),
        (21, "additionalProperties", Within(1, &One(&V2_SCHEMA))),
        (22, "type", Within(1, &Text)),
        (23, "items", Within(1, &One(&V2_SCHEMA))),
        (25, "properties", Within(1, &Named(&One(&V2_SCHEMA)))),
    ],
    extensions: 31,
};

/// `openapi.v3.Document`
pub(super) static V3: Message = Message {
    fields: &[
        (1, "openapi", Text),
        (
            2,
            "info",
            One(&Message {
                fields: &[(1, "title", Text), (6, "version", Text)],
                extensions: 7,
            }),
        ),
        (4, "paths", Within(1, &Named(&One(&V3_PATH_ITEM)))),
        (
            5,
            "components",
            One(&Message {
                fields: &[(1, "schemas", Within(1, &Named(&V3_SCHEMA)))],
                extensions: 10,
            }),
        ),
    ],
    extensions: 9,
};

static V3_PATH_ITEM: Message = Message {
    fields: &[
        (4, "get", One(&V3_OPERATION)),
        (13, "parameters", Each(&Within(1, &One(&V3_PARAMETER)))),
    ],
    extensions: 14,
};

static V3_OPERATION: Message = Message {
    fields: &[
        (1, "tags", TEXTS),
        (3, "description", Text),
        (5, "operationId", Text),
        (
            8,
            "responses",
            Within(2, &Named(&Within(1, &One(&V3_RESPONSE)))),
        ),
    ],
    extensions: 13,
};

static V3_RESPONSE: Message = Message {
    fields: &[
        (1, "description", Text),
        (
            3,
            "content",
            Within(
                1,
                &Named(&One(&Message {
                    fields: &[(1, "schema", OrReference(&V3_PLAIN))],
                    extensions: 5,
                })),
            ),
        ),
    ],
    extensions: 5,
};

static V3_PARAMETER: Message = Message {
    fields: &[
        (1, "name", Text),
        (2, "in", Text),
        (3, "description", Text),
        (4, "required", Flag),
        (10, "schema", OrReference(&V3_PLAIN)),
    ],
    extensions: 14,
};

/// `SchemaOrReference`
static V3_SCHEMA: Holds = OrReference(&V3_PLAIN);

static V3_PLAIN: Holds = One(&V3_PLAIN_SCHEMA);

static V3_PLAIN_SCHEMA: Message = Message {
    fields: &[
        (23, "required", TEXTS),
        (25, "type", Text),
        (26, "allOf", Each(&V3_SCHEMA)),
        (27, "oneOf", Each(&V3_SCHEMA)),
        (30, "items", Within(1, &V3_SCHEMA)),
        (31, "properties", Within(1, &Named(&V3_SCHEMA))),
        (32, "additionalProperties", Within(1, &V3_SCHEMA)),
        (34, "description", Text),
        (35, "format", Text),
    ],
    extensions: 36,
};

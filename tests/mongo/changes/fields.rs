//! Fields that get other names, places, types or contents.

use bson::{Document, doc};

use super::{Client, live, number};

#[tokio::test]
async fn a_field_gets_another_name() {
    let old = Client {
        insert: |value| doc! { "email": value, "other": 1 },
        update: |value| vec![doc! { "$set": { "email": value } }],
        read: |document| number(document, "email"),
    };
    let new = Client {
        insert: |value| doc! { "email": value, "mail": value, "other": 1 },
        update: |value| vec![doc! { "$set": { "email": value, "mail": value } }],
        read: |document| number(document, "email").or_else(|| number(document, "mail")),
    };
    let late = Client {
        insert: |value| doc! { "mail": value, "other": 1 },
        update: |value| vec![doc! { "$set": { "mail": value } }],
        read: |document| number(document, "mail"),
    };
    let change = "rename_field = { collection = 'users', from = 'email', to = 'mail' }";
    live(change, [old, new, late], (&["email"], &["mail"])).await;
}

#[tokio::test]
async fn a_nested_field_gets_another_name() {
    let old = Client {
        insert: |value| doc! { "a": { "b": { "c": value, "x": 1 } } },
        update: |value| vec![doc! { "$set": { "a.b.c": value } }],
        read: |document| number(document, "a.b.c"),
    };
    let new = Client {
        insert: |value| doc! { "a": { "b": { "c": value, "d": value } } },
        update: |value| vec![doc! { "$set": { "a.b.c": value, "a.b.d": value } }],
        read: |document| number(document, "a.b.c").or_else(|| number(document, "a.b.d")),
    };
    let late = Client {
        insert: |value| doc! { "a": { "b": { "d": value } } },
        update: |value| vec![doc! { "$set": { "a.b.d": value } }],
        read: |document| number(document, "a.b.d"),
    };
    let change = "rename_field = { collection = 'users', from = 'a.b.c', to = 'a.b.d', schema_version = 2 }";
    live(change, [old, new, late], (&["a.b.c"], &["a.b.d", "schema_version"])).await;
}

fn first_item(document: &Document, name: &str) -> Option<i32> {
    let items = document.get_array("items").unwrap();
    // One that has neither, and one that is no document, stay as they are.
    assert!(items.contains(&doc! { "x": 1 }.into()) && items.contains(&"text".into()), "{document}");
    items[0].as_document().unwrap().get_i32(name).ok()
}

#[tokio::test]
async fn a_field_of_list_elements_gets_another_name() {
    let old = Client {
        insert: |value| doc! { "items": [{ "price": value }, { "x": 1 }, "text"] },
        update: |value| {
            vec![doc! { "$set": { "items": [{ "price": value }, { "x": 1 }, "text", { "price": 5 }] } }]
        },
        read: |document| first_item(document, "price"),
    };
    let new = Client {
        insert: |value| doc! { "items": [{ "price": value, "cost": value }, { "x": 1 }, "text"] },
        update: |value| {
            vec![doc! { "$set": { "items": [{ "price": value, "cost": value }, { "x": 1 }, "text"] } }]
        },
        read: |document| first_item(document, "price").or_else(|| first_item(document, "cost")),
    };
    let late = Client {
        insert: |value| doc! { "items": [{ "cost": value }, { "x": 1 }, "text"] },
        update: |value| vec![doc! { "$set": { "items": [{ "cost": value }, { "x": 1 }, "text"] } }],
        read: |document| first_item(document, "cost"),
    };
    let change = "rename_field = { collection = 'users', from = 'items.price', to = 'items.cost' }";
    live(change, [old, new, late], (&["items.price"], &["items.cost"])).await;
}

#[tokio::test]
async fn fields_move_out_of_a_document_and_into_another() {
    let old = Client {
        insert: |value| doc! { "address": { "city": value }, "zip": 1, "tag": "x" },
        update: |value| vec![doc! { "$set": { "address.city": value } }],
        read: |document| number(document, "address.city"),
    };
    let new = Client {
        insert: |value| doc! { "address": { "city": value }, "town": value, "place": { "zip": 1 }, "zip": 1 },
        update: |value| vec![doc! { "$set": { "address.city": value, "town": value } }],
        read: |document| number(document, "address.city").or_else(|| number(document, "town")),
    };
    let late = Client {
        insert: |value| doc! { "town": value, "place": { "zip": 1 } },
        update: |value| vec![doc! { "$set": { "town": value } }],
        read: |document| {
            assert_eq!(number(document, "place.zip"), Some(1));
            number(document, "town")
        },
    };
    let change =
        "move_fields = { collection = 'users', fields = { 'address.city' = 'town', zip = 'place.zip' } }";
    live(change, [old, new, late], (&["address", "zip"], &["town", "place"])).await;
}

/// Two halves of a number, and the whole.
fn halves(value: i32) -> (i32, i32) {
    (value / 100, value % 100)
}

#[tokio::test]
async fn fields_are_made_of_others_and_back() {
    let read = |document: &Document| {
        let (high, low) = (number(document, "high")?, number(document, "low")?);
        Some(high * 100 + low)
    };
    let old = Client {
        insert: |value| {
            let (high, low) = halves(value);
            doc! { "high": high, "low": low }
        },
        update: |value| {
            let (high, low) = halves(value);
            vec![doc! { "$set": { "high": high, "low": low } }]
        },
        read,
    };
    let new = Client {
        insert: |value| {
            let (high, low) = halves(value);
            doc! { "high": high, "low": low, "whole": value }
        },
        update: |value| {
            let (high, low) = halves(value);
            vec![doc! { "$set": { "high": high, "low": low, "whole": value } }]
        },
        read: |document| {
            let (high, low) = (number(document, "high"), number(document, "low"));
            high.zip(low).map(|(high, low)| high * 100 + low).or_else(|| number(document, "whole"))
        },
    };
    let late = Client {
        insert: |value| doc! { "whole": value },
        update: |value| vec![doc! { "$set": { "whole": value } }],
        read: |document| number(document, "whole"),
    };
    let change = r#"transform = { collection = "users",
        up = { whole = "{ $add: [{ $multiply: ['$high', 100] }, '$low'] }" },
        down = { high = "{ $toInt: { $floor: { $divide: ['$whole', 100] } } }", low = "{ $mod: ['$whole', 100] }" } }"#;
    live(&change.replace("\n        ", " "), [old, new, late], (&["high", "low"], &["whole"])).await;
}

#[tokio::test]
async fn a_field_gets_another_type_under_another_name() {
    let old = Client {
        insert: |value| doc! { "count": value.to_string() },
        update: |value| vec![doc! { "$set": { "count": value.to_string() } }],
        read: |document| document.get_str("count").ok()?.parse().ok(),
    };
    let new = Client {
        insert: |value| doc! { "count": value.to_string(), "number": value },
        update: |value| vec![doc! { "$set": { "count": value.to_string(), "number": value } }],
        read: |document| match document.get_str("count") {
            Ok(text) => text.parse().ok(),
            Err(_) => document.get_i32("number").ok(),
        },
    };
    let late = Client {
        insert: |value| doc! { "number": value },
        update: |value| vec![doc! { "$set": { "number": value } }],
        read: |document| document.get_i32("number").ok(),
    };
    let change =
        "change_type = { collection = 'users', field = 'count', to = 'int', was = 'string', as = 'number' }";
    live(change, [old, new, late], (&["count"], &["number"])).await;
}

#[tokio::test]
async fn a_field_gets_another_type_in_its_place_at_the_contract() {
    let old = Client {
        insert: |value| doc! { "count": value.to_string() },
        update: |value| vec![doc! { "$set": { "count": value.to_string() } }],
        read: |document| document.get_str("count").ok()?.parse().ok(),
    };
    let new = Client { read: |document| number(document, "count"), ..old };
    let late = Client {
        insert: |value| doc! { "count": value },
        update: |value| vec![doc! { "$set": { "count": value } }],
        read: |document| document.get_i32("count").ok(),
    };
    for odd in ["fail", "keep", "null", "quarantine"] {
        let change = format!(
            "change_type = {{ collection = 'users', field = 'count', to = 'int', was = 'string', on_error = '{odd}' }}"
        );
        live(&change, [old, new, late], (&[], &[])).await;
    }
}

#[tokio::test]
async fn a_field_comes_with_a_default() {
    let old = Client {
        insert: |value| doc! { "a": value },
        update: |value| vec![doc! { "$set": { "a": value } }],
        read: |document| number(document, "a"),
    };
    let new = Client {
        insert: |value| doc! { "a": value, "state": "open", "twice": 2 * value },
        update: |value| vec![doc! { "$set": { "a": value, "twice": 2 * value } }],
        read: |document| {
            assert!(
                document.get_str("state").is_ok_and(|state| state == "open")
                    || document.get("state").is_none()
            );
            number(document, "a")
        },
    };
    let change =
        "add_field = { collection = 'users', field = 'state', default = 'open', schema_version = 3 }";
    live(change, [old, new, new], (&[], &["state"])).await;
}

#[tokio::test]
async fn a_field_goes_and_comes_back() {
    let old = Client {
        insert: |value| doc! { "a": value, "b": { "gone": value } },
        update: |value| vec![doc! { "$set": { "a": value, "b.gone": value } }],
        read: |document| number(document, "a"),
    };
    let new = Client {
        insert: |value| doc! { "a": value },
        update: |value| vec![doc! { "$set": { "a": value } }],
        read: |document| number(document, "a"),
    };
    let change = "drop_field = { collection = 'users', field = 'b.gone' }";
    live(change, [old, new, new], (&["b.gone"], &[])).await;
}

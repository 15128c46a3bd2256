//! The tables that the functions use, on a [DynamoDB](local_servers::dynamodb) of this machine.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use local_servers::dynamodb::DynamoDb;

/// A client of `server`.
pub async fn client(server: &DynamoDb) -> Client {
    Client::new(&crate::sdk_config(&server.url()).await)
}

/// Makes a table with these keys, all of them Strings: the partition key, then the sort key, if any.
pub async fn create_table(client: &Client, name: &str, keys: &[&str]) -> anyhow::Result<()> {
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let schema = KeySchemaElement::builder()
            .attribute_name(*key)
            .key_type(kind);
        let attribute = AttributeDefinition::builder()
            .attribute_name(*key)
            .attribute_type(ScalarAttributeType::S);
        request = request
            .key_schema(schema.build()?)
            .attribute_definitions(attribute.build()?);
    }
    request.send().await?;
    Ok(())
}

//! The tables that the functions use, on a [DynamoDB](local_servers::dynamodb) of this machine.

use aws_config::Region;
use aws_sdk_dynamodb::{
    Client,
    config::Credentials,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use local_servers::dynamodb::DynamoDb;

/// A client of `server`.
pub async fn client(server: &DynamoDb) -> Client {
    let config = larder_lambda::aws_config_loader()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local-aws"))
        .endpoint_url(server.url())
        // Plain, and past any proxy of the user's: none leads to this machine.
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await;
    Client::new(&config)
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

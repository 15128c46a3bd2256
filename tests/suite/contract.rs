//! What code, template, events and documents say of one another. A new function has an entry in
//! [`FUNCTIONS`]; the tests tell what else is missing.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use local_aws::template::{Pace, Template};
use local_servers::helper::workspace_root;
use serde_json::Value;

type Variables = BTreeMap<String, String>;

/// A function as its code knows it.
struct Known {
    name: &'static str,
    /// Its settings as they are by what the look-up says, and the names that were looked up.
    settings: fn(&Variables) -> (String, BTreeSet<String>),
    /// Whether it takes the event.
    takes: fn(&str) -> Result<(), String>,
    /// Variables that it takes whatever follows the prefix.
    prefixes: &'static [&'static str],
}

const FUNCTIONS: &[Known] = &[
    Known {
        name: "monitor-runner",
        settings: |variables| {
            let asked = RefCell::default();
            let config =
                monitor_runner::Config::from_lookup(recording(variables, &asked), [].into_iter());
            (format!("{config:?}"), asked.into_inner())
        },
        takes: takes::<monitor_runner::Event>,
        prefixes: &["MONITOR_ENV_*"],
    },
    Known {
        name: "runtime-calculator",
        settings: |variables| {
            let asked = RefCell::default();
            let config = runtime_calculator::Config::from_lookup(recording(variables, &asked));
            (format!("{config:?}"), asked.into_inner())
        },
        takes: takes::<runtime_calculator::Event>,
        prefixes: &[],
    },
    Known {
        name: "runtime-events",
        settings: |variables| {
            let asked = RefCell::default();
            let config = runtime_events::Config::from_lookup(recording(variables, &asked));
            (format!("{config:?}"), asked.into_inner())
        },
        takes: takes::<runtime_events::Event>,
        prefixes: &[],
    },
    Known {
        name: "report-generator",
        settings: |variables| {
            let asked = RefCell::default();
            let config = report_generator::Config::from_lookup(recording(variables, &asked));
            (format!("{config:?}"), asked.into_inner())
        },
        takes: takes::<report_generator::Event>,
        prefixes: &[],
    },
    Known {
        name: "cdn-invalidator",
        settings: |variables| {
            let asked = RefCell::default();
            let config = cdn_invalidator::Config::from_lookup(recording(variables, &asked));
            (format!("{config:?}"), asked.into_inner())
        },
        takes: takes::<cdn_invalidator::Event>,
        prefixes: &[],
    },
];

/// Actions that can be allowed for everything or not at all ("Service Authorization Reference"); by Region, then.
const WITHOUT_RESOURCES: [&str; 2] = ["cloudtrail:LookupEvents", "ec2:DescribeInstances"];

/// The same of services that have no Regions.
const GLOBAL: [&str; 1] = ["cloudfront:ListDistributions"];

/// Read by every function, through larder-lambda; the README's table has them.
const COMMON: &[&str] = &["METRICS_NAMESPACE"];

fn recording<'a>(
    variables: &'a Variables,
    asked: &'a RefCell<BTreeSet<String>>,
) -> impl Fn(&str) -> Option<String> + 'a {
    |name| {
        asked.borrow_mut().insert(name.to_owned());
        variables.get(name).cloned()
    }
}

fn takes<E: serde::de::DeserializeOwned>(event: &str) -> Result<(), String> {
    serde_json::from_str::<E>(event)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn read(path: impl AsRef<Path>) -> String {
    let path = workspace_root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn template() -> Template {
    Template::load(&workspace_root().join("template.yaml")).unwrap()
}

/// Names of the entries of a folder, sorted.
fn entries(folder: impl AsRef<Path>) -> Vec<String> {
    let names = std::fs::read_dir(workspace_root().join(folder)).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The lines under a heading of that text, up to the next of the same level or above.
fn section<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let level = |line: &str| line.bytes().take_while(|byte| *byte == b'#').count();
    let title = |line: &str| line.trim_start_matches('#').trim() == heading;
    let mut lines = page
        .lines()
        .skip_while(|line| level(line) == 0 || !title(line));
    let Some(first) = lines.next() else {
        panic!("no heading {heading:?}");
    };
    lines
        .take_while(|line| !(1..=level(first)).contains(&level(line)))
        .collect()
}

/// The cells of the tables among `lines`, heads and rules left out.
fn rows<'a>(lines: &[&'a str]) -> Vec<Vec<&'a str>> {
    let is_rule = |line: &str| line.starts_with("|-");
    let body = lines.iter().enumerate().filter(|(at, line)| {
        let head = lines.get(at + 1).is_some_and(|next| is_rule(next));
        line.starts_with('|') && !is_rule(line) && !head
    });
    body.map(|(_, line)| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn every_function_is_known_everywhere_in_the_same_order() {
    let known: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    let template: Vec<String> = template()
        .functions()
        .unwrap()
        .into_iter()
        .map(|function| function.name)
        .collect();
    assert_eq!(template, known, "template.yaml");
    let readme = read("README.md");
    let table: Vec<&str> = rows(&section(&readme, "Functions"))
        .iter()
        .map(|row| row[0])
        .collect();
    assert_eq!(table, known, "README.md, Functions");
    let mut sorted = known.clone();
    sorted.sort_unstable();
    assert_eq!(entries("functions"), sorted, "functions/");
    assert_eq!(entries("events"), sorted, "events/");
    let contract = read("docs/functions.md");
    for name in known {
        assert!(!section(&contract, name).is_empty());
    }
}

#[test]
fn what_is_deployed_is_set_for_parameters_that_there_are() {
    let template = template();
    let files = entries("parameters");
    assert_eq!(files, ["dev.yaml", "prod.yaml"]);
    let samconfig = read("samconfig.toml");
    for file in files {
        let environment = file.trim_end_matches(".yaml").to_owned();
        let file = format!("parameters/{file}");
        let parameters = Template::load(&workspace_root().join(&file)).unwrap();
        let parameters = parameters.document().as_object().unwrap();
        assert_eq!(parameters["Environment"], environment);
        for (name, value) in parameters {
            let known = template.document()["Parameters"].get(name);
            assert!(known.is_some(), "{file}: {name}");
            assert!(!value.is_boolean(), "{file}: quote {name}");
        }
        assert!(samconfig.contains(&format!("[{environment}.deploy.parameters]")));
    }
}

#[test]
fn every_function_has_its_code_log_group_role_and_trigger() {
    let template = template();
    let resources: BTreeMap<_, _> = template.resources().collect();
    for function in template.functions().unwrap() {
        let (name, properties) = (&function.name, &function.properties);
        let refers = |pointer: &str, kind: &str| {
            let id = properties.pointer(pointer).and_then(Value::as_str);
            let id = id.unwrap_or_else(|| panic!("{name} has no {pointer}"));
            let id = id.trim_end_matches(".Arn").to_owned();
            let resource = resources
                .get(&id)
                .unwrap_or_else(|| panic!("{name}: no resource {id}"));
            assert_eq!(resource["Type"], kind, "{name}: {id}");
            (*resource).clone()
        };
        assert_eq!(properties["CodeUri"], format!("target/lambda/{name}/"));
        let log_group = refers("/LoggingConfig/LogGroup/Ref", "AWS::Logs::LogGroup");
        assert!(
            log_group["Properties"]["RetentionInDays"].is_object(),
            "{name} keeps its log for ever"
        );
        refers("/Role/Fn::GetAtt", "AWS::IAM::Role");
        let triggers = properties["Events"]
            .as_object()
            .map_or(0, serde_json::Map::len);
        assert!(triggers > 0, "{name} is invoked by nothing");
    }
}

#[test]
fn every_action_is_named_and_explained() {
    let readme = read("README.md");
    for (id, resource) in template().resources() {
        if resource["Type"] != "AWS::IAM::Role" {
            continue;
        }
        let name = FUNCTIONS
            .iter()
            .map(|function| function.name)
            .find(|name| format!("{}role", name.replace('-', "")) == id.to_lowercase())
            .unwrap_or_else(|| panic!("{id} is no function's role"));
        let permissions = section(&readme, "Permissions").join("\n");
        let page = read(format!("functions/{name}/README.md"));
        let iam = section(&page, "IAM").join("\n");
        for policy in resource["Properties"]["Policies"].as_array().unwrap() {
            for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
                // What is allowed only on a condition of the template.
                let statement = statement.pointer("/Fn::If/1").unwrap_or(statement);
                for action in statement["Action"].as_array().unwrap() {
                    let action = action.as_str().unwrap();
                    assert!(!action.contains('*'), "{id}: {action}");
                    let named = format!("`{action}`");
                    assert!(iam.contains(&named), "functions/{name}/README.md: {action}");
                    assert!(permissions.contains(&named), "README.md: {action}");
                }
                if statement["Resource"] == "*" {
                    let actions = statement["Action"].as_array().unwrap();
                    let among = |known: &[&str]| {
                        let mut actions = actions.iter().map(|action| action.as_str().unwrap());
                        actions.all(|action| known.contains(&action))
                    };
                    let by_region = among(&WITHOUT_RESOURCES) && statement["Condition"].is_object();
                    assert!(by_region || among(&GLOBAL), "{id}: {statement}");
                }
            }
        }
    }
}

#[test]
fn every_event_is_taken_by_its_function() {
    for function in FUNCTIONS {
        let folder = format!("events/{}", function.name);
        let events = entries(&folder);
        assert!(!events.is_empty());
        for event in events {
            let taken = (function.takes)(&read(format!("{folder}/{event}")));
            assert_eq!(taken, Ok(()), "{folder}/{event}");
        }
    }
}

#[test]
fn every_variable_is_documented_with_its_true_default() {
    let template = template();
    for (function, block) in FUNCTIONS.iter().zip(template.functions().unwrap()) {
        let name = function.name;
        let page = read(format!("functions/{name}/README.md"));
        let variables = section(&page, "Variables");
        let documented: BTreeMap<String, Option<String>> = rows(&variables)
            .iter()
            .map(|row| {
                let default = (row[1] != "none").then(|| row[1].trim_matches('`').to_owned());
                (row[0].trim_matches('`').to_owned(), default)
            })
            .collect();
        let (unset, asked) = (function.settings)(&Variables::new());
        assert!(
            unset.starts_with("Ok("),
            "{name} does not start without settings: {unset}"
        );

        let mut expected: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
        expected.extend(function.prefixes);
        let names: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
        assert_eq!(
            names, expected,
            "functions/{name}/README.md and what the code reads"
        );

        let defaults = documented
            .iter()
            .filter_map(|(name, default)| Some((name.clone(), default.clone()?)))
            .collect();
        let (with_defaults, _) = (function.settings)(&defaults);
        assert_eq!(
            with_defaults, unset,
            "functions/{name}/README.md has other defaults than the code"
        );

        for variable in block.variables.keys() {
            let read = asked.contains(variable) || COMMON.contains(&variable.as_str());
            assert!(
                read,
                "template.yaml sets {variable}, which {name} does not read"
            );
        }
    }
    let readme = read("README.md");
    let configuration = section(&readme, "Configuration").join("\n");
    for variable in COMMON {
        assert!(configuration.contains(variable), "README.md: {variable}");
    }
}

#[test]
fn a_lifecycle_rule_never_deletes_before_the_longest_ttl() {
    let template = template();
    let bucket = &template.document()["Resources"]["ReportsBucket"]["Properties"];
    let rules = bucket["LifecycleConfiguration"]["Rules"]
        .as_array()
        .unwrap();
    let days = |prefix: &str| {
        let rule = rules.iter().find(|rule| rule["Prefix"] == prefix).unwrap();
        rule["ExpirationInDays"].as_u64().unwrap()
    };
    let longest = report_generator::LONGEST_LIFE.as_secs() / 86_400;
    assert!(days("cache/reports/") > longest, "{longest} days");
    assert_eq!(days("reports/"), 30);
    let most = &template.document()["Parameters"]["CacheTtlHours"]["MaxValue"];
    let refused = report_generator::Config::from_lookup(|name| {
        (name == "CACHE_TTL_HOURS").then(|| (most.as_u64().unwrap() + 1).to_string())
    });
    assert!(
        refused.is_err(),
        "the template allows what the function allows"
    );
}

#[test]
fn the_readmes_table_agrees_with_the_template() {
    let readme = read("README.md");
    let table = rows(&section(&readme, "Functions"));
    for (row, function) in table.iter().zip(template().functions().unwrap()) {
        let (name, properties) = (&function.name, &function.properties);
        let [_, trigger, _, size, events, more] = row.as_slice() else {
            panic!("{row:?}")
        };
        let (memory, timeout) = (&properties["MemorySize"], &properties["Timeout"]);
        assert_eq!(*size, format!("{memory} MB, {timeout} s"));
        assert_eq!(*events, format!("[events/{name}](events/{name})"));
        assert_eq!(*more, format!("[README](functions/{name}/README.md)"));
        for schedule in &function.schedules {
            let told = match &schedule.pace {
                Pace::Every(time) => format!("every {} minutes", time.as_secs() / 60),
                // cron(30 10 ? * MON-FRI *)
                Pace::Cron(expression) => {
                    let mut fields = expression.trim_start_matches("cron(").split(' ');
                    let (minute, hour) = (fields.next().unwrap(), fields.next().unwrap());
                    format!("{hour}:{minute}")
                }
            };
            assert!(trigger.contains(&told), "{trigger}: {told}");
        }
    }
}

#[test]
fn every_functions_readme_says_what_an_operator_asks() {
    for function in FUNCTIONS {
        let page = read(format!("functions/{}/README.md", function.name));
        for heading in [
            "Trigger",
            "Input → output",
            "Variables",
            "IAM",
            "Failure modes",
        ] {
            assert!(!section(&page, heading).concat().is_empty(), "{heading}");
        }
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut checked = 0;
    for page in pages(&workspace_root()) {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(path)
            };
            assert!(file.exists(), "{}: {target}", page.display());
            if !anchor.is_empty() {
                let there = std::fs::read_to_string(&file).unwrap();
                let found = there
                    .lines()
                    .any(|line| line.starts_with('#') && slug(line) == anchor);
                assert!(found, "{}: {target}", page.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} links were found");
}

/// All Markdown of the project, and nothing that was built or installed.
fn pages(dir: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let foreign = name.starts_with('.') || ["node_modules", "target"].contains(&name);
        if path.is_dir() && !foreign {
            pages.extend(self::pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages
}

/// Targets of links within the project.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .filter(|target| !target.contains("://"))
}

/// A heading's anchor, as GitHub makes it.
fn slug(heading: &str) -> String {
    let kept = heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        });
    kept.collect()
}

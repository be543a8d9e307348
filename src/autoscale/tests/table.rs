//! Rows as the texts beside this file have them: `NAME | COLUMN | key=value key={a, b} key=v x3`.

/// A value: a word, or a list of values.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Word(String),
    List(Vec<Value>),
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// What stands between the name and the fields, and behind them.
    pub(super) columns: Vec<String>,
    fields: Vec<(String, Value)>,
}

/// The rows of a text, each with its fields in the column `at`.
pub(super) fn rows(text: &str, at: usize) -> Vec<Row> {
    text.lines().map(|line| Row::parse(line, at)).collect()
}

impl Row {
    fn parse(line: &str, at: usize) -> Row {
        let mut columns: Vec<String> = line.split(" | ").map(|it| it.trim().to_owned()).collect();
        let fields = columns.remove(at);
        let name = match at {
            0 => line.to_owned(),
            _ => columns.remove(0),
        };
        let mut row = Row {
            name,
            columns,
            fields: Vec::new(),
        };
        row.add(&fields);
        row
    }

    /// More fields.
    pub(super) fn add(&mut self, text: &str) {
        let mut rest = Text(text.chars().collect());
        while !rest.0.is_empty() {
            self.fields.push(rest.field());
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let mut found = self.fields.iter().filter(|(it, _)| it == key);
        found.next().map(|(_, value)| value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|value| match value {
            Value::Word(word) => word.as_str(),
            Value::List(list) => list.first().map_or("", Value::word),
        })
    }

    pub(super) fn number(&self, key: &str) -> Option<i64> {
        self.text(key).map(number)
    }

    pub(super) fn int(&self, key: &str) -> Option<i32> {
        self.number(key).map(|it| i32::try_from(it).unwrap())
    }

    /// A list, or `n` times the one value.
    pub(super) fn list(&self, key: &str) -> Option<Vec<Value>> {
        self.get(key).map(Value::list)
    }

    pub(super) fn words(&self, key: &str) -> Option<Vec<String>> {
        let list = self.list(key)?;
        Some(list.iter().map(|it| it.word().to_owned()).collect())
    }
}

impl Value {
    pub(super) fn word(&self) -> &str {
        match self {
            Value::Word(word) => word,
            Value::List(list) => panic!("a word instead of {list:?}"),
        }
    }

    pub(super) fn list(&self) -> Vec<Value> {
        match self {
            Value::List(list) => list.clone(),
            word => vec![word.clone()],
        }
    }
}

/// A whole number, also `MaxInt64`, `MaxInt64/2 + 1`, `2 * 500`.
pub(super) fn number(text: &str) -> i64 {
    match text {
        "MaxInt64" => i64::MAX,
        "MaxInt32" => i64::from(i32::MAX),
        "MaxInt64/2 + 1" => i64::MAX / 2 + 1,
        _ => match text.split_once(" * ") {
            Some((left, right)) => number(left) * number(right),
            None => text.parse().unwrap_or_else(|_| panic!("a number: {text}")),
        },
    }
}

/// What is left of a row.
struct Text(std::collections::VecDeque<char>);

impl Text {
    fn field(&mut self) -> (String, Value) {
        let field = match self.0.front() {
            Some('[') => {
                let metrics = self.until(|c| c == ']');
                self.0.pop_front();
                ("metrics".to_owned(), Value::Word(metrics[1..].to_owned()))
            }
            Some('=') => {
                let want = self.until(|c| c == ' ');
                ("=>".to_owned(), Value::Word(want[2..].to_owned()))
            }
            Some('(') => {
                let note = self.until(|c| c == ')');
                self.0.pop_front();
                ("note".to_owned(), Value::Word(note[1..].to_owned()))
            }
            _ => {
                let key = self.until(|c| c == '=');
                self.0.pop_front();
                self.0.pop_front_if(|c| *c == '>');
                (key, self.value())
            }
        };
        self.skip_spaces();
        field
    }

    fn value(&mut self) -> Value {
        let value = match self.0.front() {
            Some('{' | '(') => self.group(),
            Some('"') => Value::Word(self.quoted()),
            _ => Value::Word(self.until(|c| c == ' ')),
        };
        let rest: String = self.0.iter().collect();
        let word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        if let Some(times) = rest.strip_prefix(" x") {
            let times = word(times);
            self.0.drain(..times.len() + 2);
            return Value::List(vec![value; times.parse().unwrap()]);
        }
        if let Some(factor) = rest.strip_prefix(" * ") {
            let factor = word(factor);
            self.0.drain(..factor.len() + 3);
            return Value::Word(format!("{} * {factor}", value.word()));
        }
        value
    }

    fn group(&mut self) -> Value {
        self.0.pop_front();
        let mut list = Vec::new();
        loop {
            match self.0.front().copied() {
                None => panic!("a group must end"),
                Some('}' | ')') => {
                    self.0.pop_front();
                    return Value::List(list);
                }
                Some(',' | ' ') => {
                    self.0.pop_front();
                }
                Some('{' | '(') => list.push(self.group()),
                Some('"') => list.push(Value::Word(self.quoted())),
                Some(_) => {
                    let word = self.until(|c| matches!(c, ',' | '}' | ')'));
                    list.push(Value::Word(word));
                }
            }
        }
    }

    fn quoted(&mut self) -> String {
        self.0.pop_front();
        let text = self.until(|c| c == '"');
        self.0.pop_front();
        text
    }

    fn until(&mut self, end: impl Fn(char) -> bool) -> String {
        let length = self.0.iter().position(|c| end(*c)).unwrap_or(self.0.len());
        self.0.drain(..length).collect()
    }

    fn skip_spaces(&mut self) {
        while self.0.front() == Some(&' ') {
            self.0.pop_front();
        }
    }
}

//! The container services: a table each, behind plain HTTP. They check nothing: whoever reaches them can write.

use super::world::Store;

impl Store {
    /// Answers the requests that are whole at the front of what a client said; how much of it they were.
    pub(super) fn answer(&mut self, said: &[u8]) -> (usize, Vec<u8>) {
        let (mut used, mut answers) = (0, Vec::new());
        while let Some((len, request)) = Request::first(&said[used..]) {
            used += len;
            self.log.push(format!("{} {}", request.method, request.path));
            answers.extend(self.judge(&request));
        }
        (used, answers)
    }

    fn judge(&mut self, request: &Request<'_>) -> Vec<u8> {
        let key = request.path.trim_start_matches('/').split_once('/').map(|(_, key)| key);
        let (status, body) = match (request.method, key) {
            ("GET", None) => ("200 OK", serde_json::json!(self.table).to_string()),
            ("GET", Some(key)) => match self.table.get(key) {
                Some(value) => ("200 OK", serde_json::json!({ key: value }).to_string()),
                None => ("404 Not Found", "{}".to_string()),
            },
            ("PUT", Some(key)) => {
                self.table.insert(key.to_string(), request.body.to_string());
                ("200 OK", serde_json::json!({ key: request.body }).to_string())
            }
            _ => ("405 Method Not Allowed", "{}".to_string()),
        };
        let head = "Content-Type: application/json\r\nServer: petstore-demo";
        format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .into()
    }
}

/// A request as a trusting server reads it.
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    body: &'a str,
}

impl<'a> Request<'a> {
    /// The first request, if all of it is there, and its length.
    fn first(said: &'a [u8]) -> Option<(usize, Self)> {
        let head_len = said.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&said[..head_len]).ok()?;
        let mut words = head.split_whitespace();
        let (method, path) = (words.next()?, words.next()?);
        let headers = head.lines().filter_map(|line| line.split_once(':'));
        let body_len = headers
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .find_map(|(_, value)| value.trim().parse::<usize>().ok())
            .unwrap_or(0);
        let body = said.get(head_len..head_len.checked_add(body_len)?)?;
        let body = std::str::from_utf8(body).ok()?;
        Some((head_len + body_len, Self { method, path, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_once_they_are_whole_and_one_after_the_other() {
        let [(_, mut service), _] = Store::all();
        let put = b"PUT /pets/2 HTTP/1.1\r\nContent-Length: 4\r\n\r\nTom!";
        for len in 0..put.len() {
            assert_eq!(service.answer(&put[..len]), (0, Vec::new()));
        }
        let both = [&put[..], b"GET /pets HTTP/1.1\r\n\r\n", b"GET /pe"].concat();
        let (used, answers) = service.answer(&both);
        assert_eq!(used, both.len() - 7);
        let answers = String::from_utf8(answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);
        assert!(answers.ends_with(r#"{"1":"Rex","2":"Tom!"}"#), "{answers}");
        assert_eq!(service.log, ["PUT /pets/2", "GET /pets"]);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let [_, (_, mut service)] = Store::all();
        let (_, answer) = service.answer(b"GET /food/9 HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 404"));
        let (_, answer) = service.answer(b"DELETE /food/9 HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 405"));
    }
}

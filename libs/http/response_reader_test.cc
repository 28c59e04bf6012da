#include "libs/http/response_reader.h"

#include <catch2/catch.hpp>
#include <string>

namespace narthex::http {
namespace {

using State = ResponseReader::State;

struct Read {
  State state = State::kMore;
  std::string body = {};
  bool keep_alive = false;
};

// Feeds `text` piece by piece.
Read Feed(const std::string& text, std::size_t piece,
          std::int64_t max_body = 0) {
  ResponseReader reader(max_body);
  std::string buffer;
  Read read;
  for (std::size_t at = 0; at < text.size() && read.state == State::kMore;) {
    const std::string more = text.substr(at, piece);
    at += more.size();
    // A new place in memory every time.
    buffer = std::string(buffer + more);
    read.state = reader.Advance(buffer.data(), buffer.size());
  }
  if (read.state == State::kMore) read.state = reader.End();
  if (read.state == State::kDone) {
    read.body = buffer.substr(reader.body_begin(), reader.body_size());
    read.keep_alive = reader.keep_alive();
  }
  return read;
}

constexpr char kChunked[] =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("an answer is read however it is cut into pieces") {
  const std::string text = GENERATE(
      std::string("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"),
      kChunked + std::string("5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"));
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    INFO("pieces of " << piece);
    const Read read = Feed(text, piece);
    CHECK(read.state == State::kDone);
    CHECK(read.body == "hello world");
    CHECK(read.keep_alive);
  }
}

TEST_CASE("an answer of HTTP/1.0 is the last of its connection") {
  const Read read = Feed("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 1);
  CHECK(read.state == State::kDone);
  CHECK(read.body == "hi");
  CHECK_FALSE(read.keep_alive);
}

TEST_CASE("an answer without a length ends with its connection") {
  const std::string head =
      GENERATE("HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
  for (const std::size_t piece : {1, 7, 100}) {
    const Read read = Feed(head + "up to the end", piece);
    CHECK(read.state == State::kDone);
    CHECK(read.body == "up to the end");
    CHECK_FALSE(read.keep_alive);
    CHECK(Feed(head + "up to", piece, 5).state == State::kDone);
    CHECK(Feed(head + "up to the end", piece, 5).state == State::kTooLarge);
  }
  CHECK(Feed(head, 100).body.empty());
  // Other answers do not end there.
  CHECK(Feed(head.substr(0, head.size() - 1), 100).state == State::kMore);
  CHECK(Feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd", 9).state ==
        State::kMore);
  CHECK(Feed(kChunked + std::string("5\r\nabcde\r\n"), 9).state ==
        State::kMore);
}

TEST_CASE("the head of an answer is given with its code") {
  ResponseReader reader(0);
  std::string text =
      "HTTP/1.1 503 Out of order\r\nContent-Type: text/plain \r\n"
      "content-length: 0\r\nConnection: close\r\n\r\n";
  REQUIRE(reader.Advance(text.data(), text.size()) == State::kDone);
  CHECK(reader.code() == 503);
  CHECK(reader.headers().Get("content-type") == "text/plain");
  CHECK(reader.body_size() == 0);
  CHECK_FALSE(reader.keep_alive());
}

TEST_CASE("bytes behind an answer end the connection") {
  CHECK_FALSE(
      Feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", 100).keep_alive);
  CHECK_FALSE(Feed(kChunked + std::string("0\r\n\r\nx"), 100).keep_alive);
}

TEST_CASE("a body over the limit is refused as soon as that is known") {
  CHECK(Feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 100, 4).state ==
        State::kTooLarge);
  CHECK(Feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 100, 5).state ==
        State::kMore);
  CHECK(Feed(kChunked + std::string("5\r\n"), 100, 4).state ==
        State::kTooLarge);
  CHECK(Feed(kChunked + std::string("3\r\nabc\r\n2\r\n"), 1, 4).state ==
        State::kTooLarge);
}

TEST_CASE("what is out of the ordinary is left to others") {
  const std::string text = GENERATE(
      as<std::string>{}, "SSH-2.0-x\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"
      "\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA: b\r\n folded: c\r\nContent-Length: 0\r\n\r\n",
      kChunked + std::string("x\r\n"), kChunked + std::string("\r\n"),
      kChunked + std::string("-1\r\n"), kChunked + std::string("0x1\r\n"),
      kChunked + std::string("fffffffffffff\r\n"),
      kChunked + std::string("1\r\nabc\r\n"),
      kChunked + std::string("0\r\nTrailer: x\r\n\r\n"));
  INFO(text);
  CHECK(Feed(text, 1).state == State::kIrregular);
  CHECK(Feed(text, text.size()).state == State::kIrregular);
}

TEST_CASE("a head without end is given up") {
  CHECK(Feed("HTTP/1.1 200 OK\r\nA: " + std::string(70'000, 'x'), 4096).state ==
        State::kIrregular);
  CHECK(
      Feed(kChunked + std::string("1;") + std::string(2000, 'x'), 100).state ==
      State::kIrregular);
}

}  // namespace narthex::http

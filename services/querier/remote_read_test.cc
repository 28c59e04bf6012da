#include "services/querier/remote_read.h"

#include <grpcpp/server_context.h>
#include <snappy.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/proto_field.h"
#include "libs/cluster/wire.h"
#include "libs/rpc/server.h"
#include "libs/tsdb/xor_chunk.h"
#include "narthex/v1/ingester.grpc.pb.h"
#include "services/querier/answer.h"

namespace narthex::querier {
namespace {

// Sends some series, then finds that it cannot read on.
class DamagedIngester : public v1::Ingester::Service {
 public:
  explicit DamagedIngester(int series) : series_(series) {}

  grpc::Status Select(grpc::ServerContext*, const v1::SelectRequest*,
                      grpc::ServerWriter<v1::SelectResponse>* writer) override {
    for (int i = 0; i < series_; ++i) {
      const auto chunk = std::make_shared<tsdb::XorChunk>();
      chunk->Append(1, 1);
      storage::ChunkSeries series;
      series.labels = model::Labels{{"__name__", absl::StrCat("m", i)}};
      series.chunks.push_back({chunk->min_ms(), chunk->max_ms(),
                               storage::Encoding::kXor, chunk->bytes(), chunk});
      v1::SelectResponse response;
      cluster::ToWire(series, response.add_series());
      writer->Write(response);
    }
    return {grpc::StatusCode::DATA_LOSS, "checksum mismatch"};
  }

 private:
  const int series_;
};

// Of all series, as chunks.
http::Response ReadFrom(DamagedIngester& ingester) {
  const auto server = rpc::Server::Start("127.0.0.1:0", {&ingester}).value();
  const auto queryable =
      cluster::IngesterQueryable::Create(
          {{absl::StrCat("127.0.0.1:", server->port())}, ""}, {})
          .value();
  RemoteRead remote_read(
      *queryable, {}, [] { return std::make_shared<const model::Labels>(); });
  std::string query;
  base::AppendVarintField(2, 10, &query);
  std::string message;
  base::AppendBytesField(1, query, &message);
  base::AppendVarintField(2, 1, &message);
  std::string body;
  snappy::Compress(message.data(), message.size(), &body);
  http::Response response;
  remote_read.Handle(http::Request::Make("POST", "/api/v1/read", body),
                     response);
  return response;
}

}  // namespace

TEST_CASE("a remote read that fails is an error until the first frame") {
  DamagedIngester ingester(0);
  const http::Response response = ReadFrom(ingester);
  CHECK(response.status() == 500);
  CHECK_FALSE(response.streaming());
}

TEST_CASE("a remote read that fails under way is broken off") {
  DamagedIngester ingester(2);
  const http::Response response = ReadFrom(ingester);
  CHECK(response.status() == 200);
  CHECK(absl::StrContains(response.body(), "m1"));
  CHECK(absl::StrContains(response.abort_reason(), "checksum mismatch"));
}

TEST_CASE("an answer of the API that fails under way is broken off") {
  http::Response response;
  Answer answer(&response);
  answer.data().String(std::string(1 << 20, 'a'));
  REQUIRE(answer.Flush().ok());
  answer.Finish(absl::DataLossError("checksum mismatch"));
  CHECK(response.abort_reason() == "checksum mismatch");
}

}  // namespace narthex::querier

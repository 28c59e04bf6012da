#include "libs/exposition/parser.h"

#include "libs/exposition/internal/open_metrics_parser.h"
#include "libs/exposition/internal/protobuf_parser.h"
#include "libs/exposition/internal/text_parser.h"

namespace narthex::exposition {

std::unique_ptr<Parser> Parser::Create(Format format, absl::string_view body,
                                       const ParserOptions& options) {
  switch (format) {
    case Format::kText:
      return std::make_unique<internal::TextParser>(body);
    case Format::kOpenMetrics:
      return std::make_unique<internal::OpenMetricsParser>(
          body, options.start_timestamps);
    case Format::kProtobuf:
      return std::make_unique<internal::ProtobufParser>(body, options);
  }
  return nullptr;
}

}  // namespace narthex::exposition

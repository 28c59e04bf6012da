#pragma once

namespace narthex::querier {

/// The content of page.html; "{{title}}" stands for the document's title.
extern const char kPage[];

}  // namespace narthex::querier

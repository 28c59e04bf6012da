#include "services/alertmanager/http_sender.h"

#include <memory>
#include <string>
#include <utility>

namespace narthex::alertmanager {

void ClientSender::Send(http::FetchRequest request, Done done) {
  // The answer's text is of no interest, but somebody has to hold it.
  auto body = std::make_shared<std::string>();
  std::string* target = body.get();
  client_.Fetch(std::move(request), target,
                [this, body, done = std::move(done)](http::FetchResult result) {
                  loop_.Post([done, result = std::move(result)]() mutable {
                    done(std::move(result));
                  });
                });
}

}  // namespace narthex::alertmanager

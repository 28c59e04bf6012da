#include "services/pushgateway/app.h"

int main(int argc, char** argv) {
  narthex::pushgateway::PushgatewayApp app;
  return narthex::service::Main(narthex::pushgateway::kIdentity, app, argc,
                                argv);
}

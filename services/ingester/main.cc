#include "services/ingester/app.h"

int main(int argc, char** argv) {
  narthex::ingester::IngesterApp app;
  return narthex::service::Main(narthex::ingester::kIdentity, app, argc, argv);
}

#include "services/ruler/app.h"

int main(int argc, char** argv) {
  narthex::ruler::RulerApp app;
  return narthex::service::Main(narthex::ruler::kIdentity, app, argc, argv);
}

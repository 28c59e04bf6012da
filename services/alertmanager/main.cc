#include "services/alertmanager/app.h"

int main(int argc, char** argv) {
  narthex::alertmanager::AlertmanagerApp app;
  return narthex::service::Main(narthex::alertmanager::AlertmanagerIdentity(),
                                app, argc, argv);
}

/* A PKCS#11 library for tests: SoftHSM2, until the file that TOKEN_FAULTS names says otherwise.
 *
 *   removed   every call says that the device was removed, and no slot has a token
 *   hang      every call waits until the file says something else
 *   readable  every key may be read out of the token
 *
 * Each C_Login adds a byte to the file that TOKEN_LOGINS names. A function list is a version and 68 pointers; those that
 * are replaced are counted off in the order of PKCS#11 2.40, pkcs11f.h. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long rv;
typedef rv (*any)();
struct list { unsigned char major, minor; any function[68]; };

enum { GET_SLOT_LIST = 4, OPEN_SESSION = 12, LOGIN = 18, GET_ATTRIBUTE_VALUE = 24, ENCRYPT_INIT = 29, DECRYPT_INIT = 33, SIGN_INIT = 42,
       GENERATE_RANDOM = 64 };
enum { OK = 0, DEVICE_REMOVED = 0x32 };

static struct list real, ours;

static int says(const char *what) {
  char text[16] = "";
  FILE *file = fopen(getenv("TOKEN_FAULTS"), "r");
  if (!file) return 0;
  if (!fgets(text, sizeof text, file)) text[0] = 0;
  fclose(file);
  return strcmp(text, what) == 0;
}

static rv fault(void) {
  while (says("hang")) usleep(10000);
  return says("removed") ? DEVICE_REMOVED : OK;
}

static rv get_slot_list(unsigned char present, unsigned long *slots, unsigned long *count) {
  if (fault() != OK) { *count = 0; return OK; }
  return real.function[GET_SLOT_LIST](present, slots, count);
}
static rv open_session(unsigned long slot, unsigned long flags, void *app, void *notify, unsigned long *session) {
  rv failed = fault();
  return failed ? failed : real.function[OPEN_SESSION](slot, flags, app, notify, session);
}
static rv login(unsigned long session, unsigned long user, unsigned char *pin, unsigned long length) {
  FILE *file = fopen(getenv("TOKEN_LOGINS"), "a");
  if (file) { fputc('.', file); fclose(file); }
  return real.function[LOGIN](session, user, pin, length);
}
struct attribute { unsigned long type; unsigned char *value; unsigned long length; };
enum { EXTRACTABLE = 0x162 };

static rv get_attribute_value(unsigned long session, unsigned long object, struct attribute *all, unsigned long count) {
  rv done = real.function[GET_ATTRIBUTE_VALUE](session, object, all, count);
  for (unsigned long i = 0; i < count && says("readable"); i++)
    if (all[i].type == EXTRACTABLE && all[i].value) *all[i].value = 1;
  return done;
}
static rv encrypt_init(unsigned long session, void *mechanism, unsigned long key) {
  rv failed = fault();
  return failed ? failed : real.function[ENCRYPT_INIT](session, mechanism, key);
}
static rv decrypt_init(unsigned long session, void *mechanism, unsigned long key) {
  rv failed = fault();
  return failed ? failed : real.function[DECRYPT_INIT](session, mechanism, key);
}
static rv sign_init(unsigned long session, void *mechanism, unsigned long key) {
  rv failed = fault();
  return failed ? failed : real.function[SIGN_INIT](session, mechanism, key);
}
static rv generate_random(unsigned long session, unsigned char *bytes, unsigned long length) {
  rv failed = fault();
  return failed ? failed : real.function[GENERATE_RANDOM](session, bytes, length);
}

rv C_GetFunctionList(struct list **given) {
  if (!ours.function[0]) {
    void *library = dlopen(getenv("TOKEN_MODULE"), RTLD_NOW);
    rv (*get)(struct list **) = library ? (rv (*)(struct list **))dlsym(library, "C_GetFunctionList") : NULL;
    struct list *found;
    if (!get || get(&found) != OK) return DEVICE_REMOVED;
    real = ours = *found;
    ours.function[GET_SLOT_LIST] = (any)get_slot_list;
    ours.function[OPEN_SESSION] = (any)open_session;
    ours.function[LOGIN] = (any)login;
    ours.function[GET_ATTRIBUTE_VALUE] = (any)get_attribute_value;
    ours.function[ENCRYPT_INIT] = (any)encrypt_init;
    ours.function[DECRYPT_INIT] = (any)decrypt_init;
    ours.function[SIGN_INIT] = (any)sign_init;
    ours.function[GENERATE_RANDOM] = (any)generate_random;
  }
  *given = &ours;
  return OK;
}

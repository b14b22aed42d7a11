/* Decisions that the program in TypeScript has made and written down (src/enforce/remember.ts): RUN_DIRECTORY/decisions/NAME.

     oci-sandbox decision 1
     program IDENTITY           the program's own file
     helper IDENTITY            ours
     config PATH                the host configuration
     config-file IDENTITY | -   -: there was none
     question LENGTH
     ...                        (question.h)
     answer pass | enforce
     runtime NAME               for oci-sandbox-runtime: the real one, as the configuration has it
     store PATH                 enforce only, from here on
     policy NAME
     policy-file IDENTITY
     journal-level NAME
     no-new-privileges 0 | 1
     start-hook JSON            for who prepares a bundle: what is to be among the hooks of createRuntime
     end-hook JSON              for oci-sandbox-runtime: the last of the hooks of poststop
     rests-on IDENTITY PATH     or -, where it was not there; none or more
     note TEXT                  what the journal is told
     crun-program BASE64        for crun's annotation
     filter SHA256              one or more, in the order in which they are installed
     sum SHA256                 of all bytes before this line

   In an answer `program HEX' may stand in place of a filter: its bytes, as the cache will have it. */
#ifndef DECISION_H
#define DECISION_H

#include "base/journal.h"
#include "base/trust.h"
#include "filters/filters.h"
#include "repeat/question.h"

#include <limits.h>

/* src/decide/settings.ts has the same. */
#define DEFAULT_CONFIG "/etc/oci-sandbox/config.json"

/* Texts are kept until the end of the process. */
struct decision {
  enum { DECISION_UNKNOWN, DECISION_PASS, DECISION_ENFORCE } kind;
  const char *runtime; /* NULL: none was needed */
  /* DECISION_ENFORCE: */
  const char *policy;
  const char *start_hook, *end_hook, *note, *crun_program; /* NULL: none was needed */
  const char *rests_on; /* the first other file that it rests on; NULL: none */
  char journal[PATH_MAX];
  enum journal_level journal_level;
  bool allow_no_new_privs;
  struct filter filters[FILTERS_MAX];
  int count;
};

/* What is asked where. */
struct asked {
  const char *config;  /* the host configuration's path; NULL: the usual one. A given one must be there */
  struct stat program; /* the file that would be asked */
  const struct question *question;
};

/* Look for the answer to this very question under these very circumstances. DECISION_UNKNOWN: there is none, or something
   has changed, or anything at all is not as it should be. Nothing is printed. */
void decision_recall(const struct asked *asked, struct decision *decision);

/* Take an answer as the program gives it: the lines of a record from `answer' on. DECISION_UNKNOWN: it is not whole, or not as it
   should be. `text' is changed, and must stay. */
void decision_take(char *text, size_t length, struct decision *decision);

#endif

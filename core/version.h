/* version.h - which quern this is. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#define QUERN_VERSION "0.1.0"

#endif

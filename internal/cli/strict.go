// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// What says how a gadget is built comes before its flags are parsed, since these depend on the gadget.
const (
	flagClang   = "clang"
	clangUsage  = "compiler for a gadget in a directory, a path or a name in PATH; without it $CLANG, or else the newest clang in PATH"
	flagStrict  = "strict"
	strictUsage = "fail where gizmo would only warn: names in gadget.yaml that are not known, functions to probe that are not there"
)

// warnUnless returns the function that reports names in a gadget.yaml that are not known, a line for each and each
// once; nothing does in a strict run.
func (a *app) warnUnless(strict bool) func(error) {
	if strict {
		return nil
	}
	told := make(map[string]bool)
	return func(err error) {
		prefix := "gizmo: warning: "
		if unknown := (*annotation.UnknownError)(nil); errors.As(err, &unknown) {
			prefix += "left out: "
		}
		for line := range strings.Lines(err.Error()) {
			line = prefix + strings.TrimSuffix(line, "\n")
			if !told[line] {
				told[line] = true
				fmt.Fprintln(a.Err, line)
			}
		}
	}
}

// isSet reports whether arguments that have not been parsed have a long flag of yes or no.
func isSet(args []string, flag string) bool {
	set := false
	for _, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		if name == "--"+flag {
			yes, err := strconv.ParseBool(value)
			set = !given || err == nil && yes
		}
	}
	return set
}

// valueOf returns the value of a long flag among arguments that have not been parsed; empty if it is not
// there.
func valueOf(args []string, flag string) string {
	value := ""
	for i, arg := range args {
		switch text, ok := strings.CutPrefix(arg, "--"+flag); {
		case !ok:
		case text == "" && i+1 < len(args):
			value = args[i+1]
		case strings.HasPrefix(text, "="):
			value = text[1:]
		}
	}
	return value
}

// setParamDefaults gives flags the values that the gadget wants for them. It comes before those of the
// command line, which prevail. Flags have longer names there: operator.oci.ebpf.map-fetch-interval.
func setParamDefaults(fs *pflag.FlagSet, defaults map[string]string, warn func(error)) error {
	var known []string
	fs.VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		last := name[strings.LastIndex(name, ".")+1:]
		flag := fs.Lookup(last)
		if flag == nil {
			err := fmt.Errorf("paramDefaults: gizmo has no flag for %q%s", name, nearest.Hint(last, known))
			if warn != nil {
				warn(err)
				err = nil
			}
			errs = append(errs, err)
			continue
		}
		if err := fs.Set(last, defaults[name]); err != nil {
			errs = append(errs, fmt.Errorf("paramDefaults: %s: %w", name, err))
		}
		flag.DefValue = defaults[name]
	}
	return errors.Join(errs...)
}

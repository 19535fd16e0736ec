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
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// These flags are needed to build a gadget, so they are read before its flags are parsed, which depend on the gadget.
const (
	flagClang   = "clang"
	clangUsage  = "compiler for a gadget in a directory: a path, or a name in PATH; default: $CLANG, or else the newest clang in PATH"
	flagStrict  = "strict"
	strictUsage = "turn warnings into errors: unknown names in gadget.yaml, functions to probe that do not exist"
)

// warnUnless returns the function that warns about unknown names in a gadget.yaml, one line for each and each
// once. In a strict run it returns nil, and unknown names are errors.
func (a *app) warnUnless(strict bool) func(error) {
	if strict {
		return nil
	}
	told := make(map[string]bool)
	return func(err error) {
		prefix := "gizmo: warning: "
		if unknown := (*annotation.UnknownError)(nil); errors.As(err, &unknown) {
			prefix += "ignored: "
		}
		for line := range strings.Lines(plain.Message(err)) {
			line = prefix + strings.TrimSuffix(line, "\n")
			if !told[line] {
				told[line] = true
				fmt.Fprintln(a.Err, line)
			}
		}
	}
}

// isSet reports whether a long boolean flag is set among arguments that have not been parsed.
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

// setParamDefaults sets flags to the defaults of the gadget. It runs before the command line is parsed, whose values
// override them. In paramDefaults the flags have longer names: operator.oci.ebpf.map-fetch-interval.
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
		flag.DefValue = plain.Text(defaults[name])
	}
	return errors.Join(errs...)
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"strconv"
	"strings"
)

// IsSet reports whether a long boolean flag is set among arguments that have not been parsed.
func IsSet(args []string, flag string) bool {
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

// ValueOf returns the value of a long flag among arguments that have not been parsed; empty if there is
// none.
func ValueOf(args []string, flag string) string {
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

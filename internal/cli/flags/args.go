// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

// FirstArgument returns the first argument that is neither a flag nor the value of one.
func FirstArgument(cmd *cobra.Command, args []string) (string, bool) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			if i+1 < len(args) {
				return args[i+1], true
			}
			return "", false
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			return arg, true
		case TakesNext(cmd, arg):
			i++
		}
	}
	return "", false
}

// TakesNext reports whether arg is a known flag, or ends in one, whose value is the next
// argument.
func TakesNext(cmd *cobra.Command, arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		return takesValue(cmd.Flag(name)) // no flag has a name with "="
	}
	for i := 1; i < len(arg); i++ {
		flag := cmd.Flags().ShorthandLookup(arg[i : i+1])
		if flag == nil {
			flag = cmd.InheritedFlags().ShorthandLookup(arg[i : i+1])
		}
		if takesValue(flag) {
			return i == len(arg)-1 // else the rest of arg is the value
		}
	}
	return false
}

func takesValue(f *pflag.Flag) bool { return f != nil && f.NoOptDefVal == "" }

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// ParseEarly sets the long flags of fs that are among arguments. Others are ignored: it is for flags that say how a gadget is found, whose own flags
// are not known before. They are parsed again with all others later.
func ParseEarly(fs *pflag.FlagSet, args []string) error {
	for i, arg := range args {
		if arg == "--" {
			return nil
		}
		long, isFlag := strings.CutPrefix(arg, "--")
		name, value, given := strings.Cut(long, "=")
		f := fs.Lookup(name)
		switch {
		case !isFlag || f == nil:
			continue
		case given:
		case !takesValue(f):
			value = f.NoOptDefVal
		case i+1 < len(args):
			value = args[i+1]
		default:
			continue // the whole parse says what is missing
		}
		if err := fs.Set(name, value); err != nil {
			return fmt.Errorf("--%s: %w", name, err)
		}
	}
	return nil
}

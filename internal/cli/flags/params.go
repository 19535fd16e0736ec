// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// Params are the flags for a gadget's params.
type Params struct {
	fs     *pflag.FlagSet
	params []image.Param
}

// RegisterParams adds a flag for each param of the image.
func RegisterParams(fs *pflag.FlagSet, img *image.Image) (*Params, error) {
	for i := range img.Params {
		p := &img.Params[i]
		if err := checkFlagName(fs, "param", p.Key); err != nil {
			return nil, err
		}
		flag := fs.VarPF(&paramValue{param: p, text: p.Default}, p.Key, "", plain.Line(p.Description))
		flag.DefValue = plain.Text(p.Default)
		if p.IsBool() {
			flag.NoOptDefVal = "true"
		}
	}
	return &Params{fs, img.Params}, nil
}

// checkFlagName returns an error if a param of the kind cannot have a flag by its key.
func checkFlagName(fs *pflag.FlagSet, kind, key string) error {
	switch {
	case !isFlagName(key):
		return fmt.Errorf("the gadget's %s %q cannot have a flag of that name; give it a key of letters, digits and -_.:/@+, in gadget.yaml", kind, key)
	case fs.Lookup(key) != nil:
		return fmt.Errorf("the gadget's %s %q has the name of a flag of gizmo or of another param; give it another key in gadget.yaml", kind, key)
	}
	return nil
}

// isFlagName reports whether a name from a gadget can be that of a flag: the user can type it, and it has no meaning
// for a shell.
func isFlagName(name string) bool {
	for i, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && (i == 0 || !strings.ContainsRune("-_.:/@+,", r)) {
			return false
		}
	}
	return name != "" && plain.Text(name) == name
}

// Values returns the params that were set, by key.
func (f *Params) Values() map[string]string {
	values := make(map[string]string)
	for i := range f.params {
		if flag := f.fs.Lookup(f.params[i].Key); flag.Changed {
			values[flag.Name] = flag.Value.String()
		}
	}
	return values
}

// paramValue implements a flag's value for a param.
type paramValue struct {
	param *image.Param
	text  string
}

func (v *paramValue) String() string { return v.text }
func (v *paramValue) Type() string   { return plain.Text(v.param.Type()) }

func (v *paramValue) Set(text string) error {
	if _, err := v.param.Parse(text); err != nil {
		return err
	}
	v.text = text
	return nil
}

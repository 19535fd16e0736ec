// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// paramFlags are the flags for a gadget's params.
type paramFlags struct {
	fs     *pflag.FlagSet
	params []image.Param
}

// registerParams adds a flag for each param of the image.
func registerParams(fs *pflag.FlagSet, img *image.Image) (*paramFlags, error) {
	for i := range img.Params {
		p := &img.Params[i]
		if fs.Lookup(p.Key) != nil {
			return nil, fmt.Errorf("the gadget's param %q has the name of a flag of gizmo or of another param; give it another key in gadget.yaml", p.Key)
		}
		flag := fs.VarPF(&paramValue{param: p, text: p.Default}, p.Key, "", p.Description)
		if p.IsBool() {
			flag.NoOptDefVal = "true"
		}
	}
	return &paramFlags{fs, img.Params}, nil
}

// values returns the params that were set, by key.
func (f *paramFlags) values() map[string]string {
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
func (v *paramValue) Type() string   { return v.param.Type() }

func (v *paramValue) Set(text string) error {
	if _, err := v.param.Parse(text); err != nil {
		return err
	}
	v.text = text
	return nil
}

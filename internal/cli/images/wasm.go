// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// describedModule is the Wasm module of a gadget.
type describedModule struct {
	Bytes int
	// Imports are the functions that it calls, Exports those that it offers.
	Imports, Exports []describedFunction
	// Invalid says why it is no module; then nothing else is known of it.
	Invalid string `json:",omitempty"`
}

type describedFunction struct {
	// Module is the one that has an imported function: ig, or wasi_snapshot_preview1.
	Module string `json:",omitempty"`
	Name   string
	// Type are its parameters and results: "(i64, i32) -> i32".
	Type string
}

// describeModule returns what a Wasm module says about itself. Nothing of it is run.
func describeModule(ctx context.Context, module []byte) *describedModule {
	d := &describedModule{Bytes: len(module)}
	// The interpreter does not compile the module to machine code, so it reads it soonest.
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	m, err := r.CompileModule(ctx, module)
	if err != nil {
		d.Invalid = err.Error()
		return d
	}
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		d.Imports = append(d.Imports, describedFunction{module, name, typeOf(f)})
	}
	slices.SortFunc(d.Imports, func(a, b describedFunction) int {
		return cmp.Or(strings.Compare(a.Module, b.Module), strings.Compare(a.Name, b.Name))
	})
	exported := m.ExportedFunctions()
	for _, name := range slices.Sorted(maps.Keys(exported)) {
		d.Exports = append(d.Exports, describedFunction{Name: name, Type: typeOf(exported[name])})
	}
	return d
}

func typeOf(f api.FunctionDefinition) string {
	params, results := typeNames(f.ParamTypes()), typeNames(f.ResultTypes())
	if results == "" {
		return fmt.Sprintf("(%s)", params)
	}
	return fmt.Sprintf("(%s) -> %s", params, results)
}

func typeNames(types []api.ValueType) string {
	var names []string
	for _, t := range types {
		names = append(names, api.ValueTypeName(t))
	}
	return strings.Join(names, ", ")
}

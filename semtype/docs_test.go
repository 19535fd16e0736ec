// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

var update = flag.Bool("update", false, "rewrite the page of types")

const typesPage = "../docs/types.md"

// TestTypesPage holds the page for gadget authors to the table of types.
func TestTypesPage(t *testing.T) {
	page := renderPage(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(typesPage), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(typesPage, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(typesPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, page) {
		t.Errorf("%s is stale: run 'go generate ./semtype'", typesPage)
	}
}

const pageIntro = `<!-- Generated from the rows of semtype.Types. Do not edit: run 'go generate ./semtype'. -->

# Enriched types

A field of one of these types has a meaning that gizmo knows. Most types add a field that says it in
words. The field itself stays, with its number.

An annotation of the type names the added field; without it, the added field has the name of the
field itself without the suffix ` + "`_raw`" + `. gizmo adds no field if the field has neither, if the field is an
array, or if the record already has a field of that name. Where gizmo added a field, columns hide the
field whose name ends in ` + "`_raw`" + `; json has both.

Some types have a template, which lays out their columns. The annotations in ` + "`gadget.yaml`" + ` and on
the command line take precedence.

`

func renderPage(t *testing.T) []byte {
	var b bytes.Buffer
	b.WriteString(pageIntro)
	rows := append(append(enumTypes(), Types()...), trailingType())
	b.WriteString("| Type | Base type | Template | Example |\n|---|---|---|---|\n")
	for _, row := range rows {
		example := ""
		if e := row.Example; e != nil {
			example = code(e.Text)
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", code(cName(&row)), anchor(&row), code(row.On), code(row.Template), example)
	}
	for _, row := range rows {
		renderRow(t, &b, &row)
	}
	return b.Bytes()
}

func renderRow(t *testing.T, b *bytes.Buffer, row *Type) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", code(cName(row)), row.Doc)
	if row.Adds != "" {
		fmt.Fprintf(b, "\nAdds: %s\n", row.Adds)
	}
	if row.Example != nil {
		renderExample(t, b, row)
	}
	if len(row.Annotations) > 0 {
		b.WriteString("\nAnnotations:\n\n")
	}
	for _, a := range row.Annotations {
		fmt.Fprintf(b, "- %s: %s\n", code(a.Key), sentence(a.Doc))
	}
}

// renderExample shows what json has for the example's value.
func renderExample(t *testing.T, b *bytes.Buffer, row *Type) {
	name, raw := row.Example.Field, row.Example.Field+"_raw"
	size := cSize(t, row.On)
	s := layout(scalar(raw, row.CName, event.Uint, size))
	apply(t, s, testEnv(), annotations{})
	rec := le(row.Example.Raw, size)
	number := fmt.Sprint(row.Example.Raw)
	if field(t, s, raw).Text != nil {
		number = text(t, s, raw, rec)
	}
	fmt.Fprintf(b, "\n```c\nstruct event {\n\t%s %s;\n};\n```\n", row.CName, raw)
	fmt.Fprintf(b, "\n```json\n{\"%s\": \"%s\", \"%s\": %s}\n```\n", name, text(t, s, name, rec), raw, number)
}

func cName(row *Type) string {
	if row.On == "struct" {
		return "struct " + row.CName
	}
	return row.CName
}

// anchor is how Markdown readers refer to a row's heading.
func anchor(row *Type) string {
	return strings.ReplaceAll(strings.ToLower(cName(row)), " ", "-")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", "\\|") + "`"
}

func sentence(s string) string { return strings.TrimSuffix(s, ".") + "." }

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"bufio"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestErrors compares the messages for wrong filters with the golden files, in which a line with a
// filter is followed by an indented one with its message.
func TestErrors(t *testing.T) {
	t.Parallel()
	languages := map[string]func(map[string]string) (*filter.Stage, error){
		"testdata/filter-errors.txt": filter.New,
		"testdata/expr-errors.txt":   filter.NewExpr,
	}
	for path, parse := range languages {
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for lines := bufio.NewScanner(strings.NewReader(string(golden))); lines.Scan(); {
			text, isMessage := strings.CutPrefix(lines.Text(), "\t")
			if isMessage {
				continue
			}
			message := "no error"
			if err := bindError(t, text, parse); err != nil {
				message = err.Error()
			} else {
				t.Errorf("%s: no error for %s", path, text)
			}
			out.WriteString(text + "\n\t" + strings.ReplaceAll(message, "\n", "\n\t") + "\n")
		}
		if *update {
			if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if out.String() != string(golden) {
			t.Errorf("messages differ from %s:\n%s", path, out.String())
		}
	}
}

func bindError(t *testing.T, text string, parse func(map[string]string) (*filter.Stage, error)) error {
	st, err := parse(map[string]string{"": text})
	if err != nil {
		return err
	}
	_, err = st.Bind(sample(t), event.FieldSet{})
	return err
}

func TestErrorOnALaterLine(t *testing.T) {
	t.Parallel()
	err := bindError(t, "truncated ||\n  pid == 1", filter.NewExpr)
	var at *filter.Error
	if !errors.As(err, &at) || at.Line != 2 || at.Column != 3 || !strings.Contains(err.Error(), "line 2, column 3: ") {
		t.Errorf("got %v", err)
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("fname==x,", 5000)
	if _, err := filter.Parse(long); err == nil || len(err.Error()) > 500 {
		t.Errorf("got %v", err)
	}
	if _, err := filter.NewExpr(map[string]string{"": long}); err == nil || len(err.Error()) > 500 {
		t.Errorf("got %v", err)
	}
}

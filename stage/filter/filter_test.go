// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
)

// kept returns the names of the sample's rows that a stage lets pass.
func kept(t testing.TB, st pipeline.Stage, err error) string {
	t.Helper()
	if err != nil {
		t.Error(err)
		return ""
	}
	s := sample(t)
	f, err := st.Bind(s, event.FieldSet{})
	if err != nil {
		t.Error(err)
		return ""
	}
	b := sampleBatch(s)
	if err := f(b); err != nil {
		t.Error(err)
		return ""
	}
	var names []string
	for i := range b.Rows {
		for k, original := range sampleBatch(s).Rows {
			if bytes.Equal(b.Rows[i], original) && containerOf(s).At(b, i) == sampleRows[k].container {
				names = append(names, sampleRows[k].name)
			}
		}
	}
	if len(names) != len(b.Rows) {
		t.Errorf("rows and columns were mixed up: %q of %d", names, len(b.Rows))
	}
	return strings.Join(names, " ")
}

func TestFilter(t *testing.T) {
	t.Parallel()
	tests := []struct{ filter, want string }{
		// Numbers.
		{"proc.pid==12", "cat"},
		{"proc.pid!=12", "bash full"},
		{"proc.pid==0xc", "cat"},
		{"proc.pid==0o14", "cat"},
		{"proc.pid==0b1100", "cat"},
		{"proc.pid==012", "cat"}, // not octal
		{"proc.pid>=12", "cat bash"},
		{"proc.pid>12", "bash"},
		{"proc.pid<12", "full"},
		{"proc.pid<=12", "cat full"},
		{"proc.pid>3999999999", "bash"}, // beyond the signed
		{"proc.pid<0", ""},
		{"proc.pid>=0", "cat bash full"},
		{"proc.pid>4294967295", ""},
		{"proc.pid<=4294967295", "cat bash full"},
		{"size==18446744073709551615", "cat"},
		{"size>9223372036854775807", "cat"},
		{"size>=9223372036854775807", "cat bash"},
		{"size<9223372036854775807", "full"},
		{"size==0xFFFFFFFFFFFFFFFF", "cat"},
		{"offset==-1", "cat"},
		{"offset<0", "cat bash"},
		{"offset==-9223372036854775808", "bash"},
		{"offset>=-0x1", "cat full"},
		{"offset<-9223372036854775808", ""},
		{"delta==-300", "cat"},
		{"delta<0", "cat"},
		{"delta>-300", "bash full"},
		{"odd==66051", "cat"},
		{"odd>66051", "bash"},
		{"level==-4", "cat"},
		{"level>2", "bash"},
		{"level<=0", "cat full"},
		{"level!=3", "cat full"},
		{"wide==-2", "cat"},
		{"wide<0", "cat"},
		{"wide>=0,wide<7", "full"},
		{"wide!=7", "cat full"},
		{"wide>-170141183460469231731687303715884105728", "cat bash full"},
		{"truncated==true", "cat"},
		{"truncated!=true", "bash full"},
		{"truncated==false", "bash full"},
		{"truncated!=false", "cat"},
		{"ratio==0.1", "cat"},
		{"ratio>0.1", ""},
		{"ratio<0", "bash"},
		{"ratio<=-2.5", "bash"},
		{"ratio>=0", "cat full"},
		{"mean==Inf", "cat"},
		{"mean>1e299", "cat bash"},
		{"mean!=1", "cat bash full"}, // even NaN
		{"mean<1", ""},
		{"mean>=1", "cat bash"},
		// Text of the record.
		{"proc.comm==cat", "cat"},
		{"proc.comm!=cat", "bash full"},
		{"proc.comm==ca", ""},
		{"proc.comm==cats", ""},
		{"proc.comm==sixteen-bytes-ok", "full"},
		{"proc.comm>=c", "cat full"},
		{"proc.comm<cat", "bash"},
		{"proc.comm<=cat", "cat bash"},
		{"proc.comm>cat", "full"},
		{"proc.comm==", ""},
		{"proc.comm~^ba", "bash"},
		{"proc.comm~a", "cat bash"},
		{"proc.comm!~a", "full"},
		{"proc.comm~t$", "cat"},
		{"proc.comm~^cat$", "cat"},
		{"proc.comm!~^cat$", "bash full"},
		{"proc.comm~^(cat|bash)$", "cat bash"},
		{"proc.comm~(?i)CAT", "cat"},
		{"proc.comm~^a-name-of-more-than-sixteen", ""},
		{"proc.comm~", "cat bash full"},
		{`fname==a\,b\\c d`, "bash"},
		{`fname==a\,b\c d`, "bash"}, // c needs no escape, so the backslash is one
		{`fname ==  a\,b\\c d  ,proc.pid!=12`, "bash"},
		{`fname==a\,b\\c d\ `, ""}, // ends in a blank
		{`fname~\d`, ""},
		{`fname~^\S+$`, "cat full"},
		{`fname~\\\\`, "bash"},
		{`fname~a\,b`, "bash"},
		{"fname==\xff\xfe", "full"},
		{"fname~\ufffd", "full"}, // bytes that are not UTF-8
		// Bytes.
		{"hash==deadbeef", "cat"},
		{"hash==DEADBEEF", "cat"},
		{"hash!=deadbeef", "bash full"},
		{"hash~^00", "bash full"},
		{"hash>00", "cat bash full"},
		{"hash<00000001", "full"},
		{"payload==01ff", "cat"}, // no more than the length says
		{"payload==", "bash"},
		{"payload!=", "cat full"},
		{"payload~7a$", "full"},
		// Regular expressions on numbers see the number as shown.
		{"proc.pid~^4", "bash"},
		{"offset~^-1$", "cat"},
		{"truncated~^t", "cat"},
		{"ratio~^0.1$", "cat"},
		{"mean~NaN", "full"},
		{"mean~e.300$", "bash"},
		{"wide~^-2$", "cat"},
		{"in~^1$", "cat"},
		// Fields that enriched types add, and texts that they show in place of their bytes.
		{"error==ENOENT", "cat"},
		{"error==", "bash"},
		{"error!=", "cat full"},
		{"error_raw==2", "cat"},
		{"error~^E(NOENT|ACCES)$", "cat full"},
		{"flags~O_CREAT", "cat"},
		{"flags_raw==0o101", "cat"},
		{"proc.creds.user!=root", "bash full"},
		{"proc.creds.user==root", "cat"},
		{"timestamp_raw==1700000000000000005", "cat"},
		{"timestamp_raw>1700000000000000005", "bash"},
		{"timestamp_raw==0", "full"},
		{"timestamp>2023-11-14T22:13:20.5", "bash"},
		{"timestamp~^2023", "cat bash"},
		{"dst==10.1.2.3:80", "cat"},
		{"dst==[fd00::1]:443", "bash"},
		{"dst.addr==10.1.2.3", "cat"},
		{"dst.proto==TCP", "cat"},
		{"dst.port<443", "cat full"},
		// What a stage added.
		{"runtime.containerName==web-1", "cat"},
		{"runtime.containerName!=", "cat bash"},
		{"runtime.containerPid==401", "cat"},
		{"runtime.containerPid>=0", "cat bash"}, // no number: nothing holds
		{"runtime.containerPid<0", ""},
		{"runtime.containerPid!=401", "bash full"},
		{"k8s.hostnetwork==true", "cat"},
		{"k8s.hostnetwork==false", "bash"},
		{"k8s.hostnetwork!=true", "bash full"},
		{"load>0", "cat"},
		{"load<=-3", "bash"},
		{"load!=0.25", "bash full"},
		// Several.
		{"proc.pid>=12,proc.comm==cat", "cat"},
		{" proc.pid >= 12 , proc.comm == bash ", "bash"},
		{"flags~O_RD,proc.pid==0,error!=,truncated==false", "full"},
	}
	for _, test := range tests {
		st, err := filter.New(map[string]string{"": test.filter})
		if got := kept(t, st, err); got != test.want {
			t.Errorf("%s: kept %q, want %q", test.filter, got, test.want)
		}
	}
}

// TestFilterComparesWhatIsShown asks for each value of the sample as json shows it.
func TestFilterComparesWhatIsShown(t *testing.T) {
	t.Parallel()
	s := sample(t)
	format, err := encode.Lookup("json")
	if err != nil {
		t.Fatal(err)
	}
	enc, err := format.Bind(s, encode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := sampleBatch(s)
	b.Rows[0] = b.Rows[0][:s.Size+2] // encoders show all of the trailing data, whatever its length says
	lines := bytes.Split(bytes.TrimSpace(enc.Append(nil, b)), []byte("\n"))
	compared := 0
	for row, line := range lines {
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var shown map[string]any
		if err := d.Decode(&shown); err != nil {
			t.Fatal(err)
		}
		for name, value := range flatten("", shown) {
			text := strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(value)
			f, err := filter.Parse(name + "==" + text)
			if err != nil {
				t.Error(err)
				continue
			}
			holds, err := f.Bind(s)
			if err != nil {
				t.Error(err)
				continue
			}
			if !holds(b, row) {
				t.Errorf("row %d: json shows %s as %q, but the filter does not hold", row, name, value)
			}
			compared++
		}
	}
	if compared < 60 {
		t.Errorf("only %d values compared", compared)
	}
}

// flatten returns the values of an object by their full names, without those that cannot be compared.
func flatten(prefix string, object map[string]any) map[string]string {
	out := make(map[string]string)
	for name, v := range object {
		switch v := v.(type) {
		case map[string]any:
			for name, value := range flatten(prefix+name+".", v) {
				out[name] = value
			}
		case []any, nil:
		case string:
			if !strings.Contains(v, "\ufffd") && v != "NaN" {
				out[prefix+name] = v
			}
		default:
			out[prefix+name] = fmt.Sprint(v)
		}
	}
	return out
}

func ExampleFilter_Bind() {
	s := &event.Schema{Name: "exec", Single: true, Size: 16, Fields: []event.Field{
		{Name: "comm", Kind: event.String, Size: 16, Parent: event.NoParent},
	}}
	f, err := filter.Parse("comm~^ba")
	if err != nil {
		panic(err)
	}
	holds, err := f.Bind(s)
	if err != nil {
		panic(err)
	}
	b := &event.Batch{Schema: s, Rows: [][]byte{
		append([]byte("bash"), make([]byte, 12)...),
		append([]byte("cat"), make([]byte, 13)...),
	}}
	for row := range b.Rows {
		fmt.Println(holds(b, row))
	}
	// Output:
	// true
	// false
}

package stream_test

import (
	"fmt"

	"github.com/altagate/altagate/pkg/stream"
)

func ExampleLayout() {
	layout, err := stream.Parse("auto", []string{"/live/"})
	if err != nil {
		panic(err)
	}
	for _, path := range []string{"/live/news/index.m3u8", "/live/sport.m3u8", "/live/poster.jpg"} {
		opened, entry := layout.Opens(path)
		fmt.Println(path, "opens", opened, entry)
	}
	var room [stream.MaxJoins]stream.Name
	fmt.Println(layout.Joins(room[:0], "/live/news/720p/17.ts"))
	// Output:
	// /live/news/index.m3u8 opens /live/news/ true
	// /live/sport.m3u8 opens /live/sport.* true
	// /live/poster.jpg opens =/live/poster.jpg false
	// [=/live/news/720p/17.ts /live/news/720p/ /live/news/720p.* /live/news/ /live/news.*]
}

// A ladder whose rungs lie beside each other: nginx-rtmp with hls_variant.
func ExampleParse() {
	layout, err := stream.Parse(`/hls/(?P<stream>[^/]+?)(?:_(?:low|mid|hi))?(?:\.m3u8|-\d+\.ts)`, []string{"/hls/"})
	if err != nil {
		panic(err)
	}
	for _, path := range []string{"/hls/ch1.m3u8", "/hls/ch1_low.m3u8", "/hls/ch1_low-17.ts", "/hls/ch1_hd.m3u8"} {
		fmt.Println(path, layout.Joins(nil, path))
	}
	// Output:
	// /hls/ch1.m3u8 [~ch1]
	// /hls/ch1_low.m3u8 [~ch1]
	// /hls/ch1_low-17.ts [=/hls/ch1_low-17.ts ~ch1]
	// /hls/ch1_hd.m3u8 [~ch1_hd]
}

func ExampleName_String() {
	for _, text := range []string{"/live/news/", "/live/sport.*", "=/live/poster.jpg", "~ch1"} {
		name, err := stream.ParseName(text)
		fmt.Println(name, err)
	}
	// Output:
	// /live/news/ <nil>
	// /live/sport.* <nil>
	// =/live/poster.jpg <nil>
	// ~ch1 <nil>
}

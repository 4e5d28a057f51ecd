use akin_mining::map::*;
use std::io::Read;
use std::time::Instant;
fn main() {
    let mut file = std::fs::File::open(std::env::args().nth(1).unwrap()).unwrap();
    let out = std::env::args().nth(2).unwrap();
    let rows: usize = std::env::args().nth(3).map_or(usize::MAX, |n| n.parse().unwrap());
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let values: Vec<f32> = bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).take(rows.saturating_mul(384)).collect();
    let e = akin_kernels::Embeddings::from_values(384, values);
    let t = Instant::now();
    let go = |_: usize, _: usize| std::ops::ControlFlow::Continue(());
    let done = akin_index::Counter::begin(9, &go).unwrap();
    let n = nearest::find(&e, 15, &done).unwrap();
    println!("neighbors {:.1}", t.elapsed().as_secs_f32());
    let t = Instant::now();
    let places = layout_of(&e, &n, &LayoutOptions { epochs: std::env::args().nth(4).map(|n| n.parse().unwrap()), ..Default::default() }, &go).unwrap();
    println!("placed {:.1}", t.elapsed().as_secs_f32());
    let t = Instant::now();
    let r = regions::regions(&places, 1);
    println!("regions {} {:.1}", r.regions.len(), t.elapsed().as_secs_f32());
    println!("kept {:.4}", quality::neighbors_kept(&e, &places, 15));
    std::fs::write(out, places.iter().flatten().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
}

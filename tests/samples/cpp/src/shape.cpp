#include "../include/shape.h"

namespace geometry {

Shape::Shape(std::string name) : name_(std::move(name)) {}

}  // namespace geometry

double geometry::Shape::area() const {
    return 0.0;
}
